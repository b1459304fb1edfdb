# SPDX-License-Identifier: Apache-2.0
"""Upstream's own way to boot a node: what the benchmark compares us with.

A dnsmasq and an nginx set up by hand beside a conductor that uses the
`dnsmasq` provider, as upstream's install guide has it, with the same
loaders, ramdisk and network as our own service. Called by `up --stack stock`.
"""

import os
import pathlib

from zsbm_ironic.lab import daemon, ironic, layout

DNSMASQ = """\
port=0
bind-dynamic
interface={bridge}
dhcp-authoritative
dhcp-range={first},{last},255.255.255.0,10m
dhcp-hostsdir={root}/hosts
dhcp-optsdir={root}/opts
dhcp-leasefile={root}/leases
dhcp-match=set:ipxe,175
dhcp-ignore=tag:!known
enable-ra
dhcp-range=fd00:5a5b::,ra-only,64
log-dhcp
enable-tftp
tftp-root={tftp_root}
"""

NGINX = """\
daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log {root}/access.log;
    sendfile on;
    client_body_temp_path {root}/tmp;
    proxy_temp_path {root}/tmp;
    fastcgi_temp_path {root}/tmp;
    uwsgi_temp_path {root}/tmp;
    scgi_temp_path {root}/tmp;
    server {{
        listen {address}:{port};
        root {http_root};
    }}
}}
"""


def settings(
    conductor: ironic.Conductor, loaders: pathlib.Path
) -> ironic.Settings:
    """Return the options that this way needs on top of the common ones.

    :param loaders: folder of loaders by architecture.
    """
    root = _root(conductor)
    names = ('i386-bios/undionly.kpxe', 'amd64/snponly.efi')
    return {
        'DEFAULT': {
            'enabled_hardware_types': 'ipmi,redfish',
            'enabled_boot_interfaces': 'ipxe',
            'enabled_deploy_interfaces': 'direct',
            'enabled_management_interfaces': 'ipmitool,redfish',
            'enabled_power_interfaces': 'ipmitool,redfish',
            'enabled_vendor_interfaces': 'no-vendor,ipmitool,redfish',
            'default_boot_interface': 'ipxe',
            'default_deploy_interface': 'direct',
            'default_inspect_interface': 'agent',
            'default_network_interface': 'noop',
        },
        'dhcp': {'dhcp_provider': 'dnsmasq'},
        'dnsmasq': {
            'dhcp_hostsdir': f'{root}/hosts',
            'dhcp_leasefile': f'{root}/leases',
            'dhcp_optsdir': f'{root}/opts',
        },
        'pxe': {
            'ipxe_bootfile_name': 'undionly.kpxe',
            'uefi_ipxe_bootfile_name': 'snponly.efi',
            'loader_file_paths': ','.join(
                f'{pathlib.PurePath(name).name}:{loaders / name}'
                for name in names
            ),
        },
    }


def daemons(conductor: ironic.Conductor) -> list[daemon.Daemon]:
    """Write both configurations and return both processes."""
    root = _root(conductor)
    own = (layout.IRONIC_UID, layout.SHARED_GID)
    for sub in ('', 'hosts', 'opts', 'tmp'):
        ironic.folder(root / sub, own, 0o2750)
    (root / 'leases').touch()
    os.chown(root / 'leases', *own)
    facts = {
        'address': conductor.address,
        'bridge': layout.BRIDGE,
        'first': layout.DHCP_RANGE[0],
        'http_root': conductor.http_root,
        'last': layout.DHCP_RANGE[1],
        'port': layout.HTTP_PORT,
        'root': root,
        'tftp_root': conductor.tftp_root,
    }
    (root / 'dnsmasq.conf').write_text(DNSMASQ.format(**facts))
    (root / 'nginx.conf').write_text(NGINX.format(**facts))
    who = daemon.Identity(
        layout.IRONIC_UID,
        layout.SHARED_GID,
        capabilities=('net_bind_service', 'net_raw', 'net_admin'),
    )
    nginx = ('nginx', '-p', str(root), '-c', str(root / 'nginx.conf'))
    return [
        daemon.Daemon(
            'stock-dnsmasq',
            (
                'dnsmasq',
                '--keep-in-foreground',
                '--log-facility=-',
                f'--conf-file={root}/dnsmasq.conf',
            ),
            who,
        ),
        daemon.Daemon('stock-nginx', (*nginx, '-e', 'stderr'), who),
    ]


def _root(conductor: ironic.Conductor) -> pathlib.Path:
    return conductor.root / 'stock'
