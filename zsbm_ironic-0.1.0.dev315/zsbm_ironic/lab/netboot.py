# SPDX-License-Identifier: Apache-2.0
"""Our own boot service in the lab: its settings, folders and process.

Called by `up`, once a conductor. The service is a user of its own with the
capabilities of the shipped unit; of the two folders that it shares with
Ironic each has one writer.
"""

import pathlib
from collections.abc import Iterable

from zsbm_ironic.lab import cluster, daemon, ironic, layout, relay

# As in etc/systemd/zsbm-netboot.service.
CAPABILITIES = ('net_bind_service', 'net_raw', 'net_admin')
LOADERS = {
    'x86-bios': 'i386-bios/undionly.kpxe',
    'x86-64-uefi': 'amd64/snponly.efi',
    'arm64-uefi': 'arm64/ipxe.efi',
    'riscv64-uefi': 'riscv64/ipxe.efi',
    'loongarch64-uefi': 'loong64/ipxe.efi',
}
# What upstream's boot interfaces serve, by the names that ironic asks for:
# iPXE, and the signed chain of a machine with Secure Boot.
STOCK_LOADERS = {
    'undionly.kpxe': 'i386-bios/undionly.kpxe',
    'snponly.efi': 'amd64/snponly.efi',
    'shimx64.efi': 'amd64/shimx64.efi',
    'grubx64.efi': 'amd64/grubx64.efi',
}


def settings(
    conductor: ironic.Conductor, loaders: pathlib.Path
) -> ironic.Settings:
    """Return the options of the type `zsbm` and of its boot service.

    :param loaders: folder of loaders by architecture.
    """
    root = conductor.root / 'netboot'
    first, last = layout.DHCP_RANGE
    others = [
        address
        for address in layout.CONDUCTOR_ADDRESSES
        if address != conductor.address
    ]
    return {
        'DEFAULT': {
            'enabled_boot_interfaces': 'zsbm-pxe,zsbm-http,ipxe,pxe,http,'
            'http-ipxe,redfish-virtual-media',
            'enabled_deploy_interfaces': 'zsbm,direct,ramdisk',
            'enabled_management_interfaces': 'zsbm,ipmitool,redfish',
            'enabled_power_interfaces': 'zsbm,ipmitool,redfish',
            'enabled_vendor_interfaces': 'zsbm,no-vendor,ipmitool,redfish',
        },
        'dhcp': {'dhcp_provider': 'zsbm'},
        'pxe': {
            'ipxe_bootfile_name': 'undionly.kpxe',
            'uefi_ipxe_bootfile_name': 'snponly.efi',
            'uefi_pxe_bootfile_name': 'shimx64.efi',
            'loader_file_paths': ','.join(
                f'{name}:{loaders / path}'
                for name, path in STOCK_LOADERS.items()
            ),
        },
        'zsbm_netboot': {
            'desired_dir': f'{root}/desired',
            'http_port': str(layout.HTTP_PORT),
            'http_root': str(conductor.http_root),
            'interface': interface(conductor),
            'known_dhcp_servers': ','.join(others),
            'listen_address': conductor.address,
            'loaders': ','.join(
                f'{name}:{loaders / path}' for name, path in LOADERS.items()
            ),
            'run_dir': f'{root}/run',
            'status_dir': f'{root}/status',
            'subnets': [
                f'cidr:{layout.PROVISIONING_CIDR},range:{first}-{last}',
                relay.SUBNET,
            ],
            'tftp_root': str(conductor.tftp_root),
            'timeline_dir': f'{root}/timeline',
        },
    }


def interface(conductor: ironic.Conductor) -> str:
    """Return the network interface that the service answers on."""
    return layout.BRIDGE if conductor.number == 1 else 'eth0'


def make_folders(conductor: ironic.Conductor) -> None:
    """Make the folders, each with its one writer; idempotent."""
    root = conductor.root / 'netboot'
    for name, uid in _writers():
        ironic.folder(root / name, (uid, layout.SHARED_GID), 0o2750)


def service(conductor: ironic.Conductor) -> daemon.Daemon:
    """Return the process that serves the boots of one conductor."""
    name = 'zsbm-netboot'
    if conductor.number > 1:
        name += f'-{conductor.number}'
    return daemon.Daemon(
        name,
        (
            ironic.executable('zsbm-netboot'),
            *('--config-file', str(conductor.config_file)),
        ),
        daemon.Identity(
            layout.NETBOOT_UID, layout.SHARED_GID, capabilities=CAPABILITIES
        ),
        ironic.environment(conductor.root),
        namespace=cluster.namespace(conductor.number),
    )


def _writers() -> Iterable[tuple[str, int]]:
    yield '', layout.IRONIC_UID
    yield 'desired', layout.IRONIC_UID
    yield 'timeline', layout.IRONIC_UID
    yield 'status', layout.NETBOOT_UID
    yield 'run', layout.NETBOOT_UID
