# SPDX-License-Identifier: Apache-2.0
"""A real Ironic for the lab: its configuration, database and processes.

Called by `up`. One unprivileged user runs it; what the boot service has to
read (kernels, boot scripts) belongs to a group that both share. Passwords of
BMCs are in Ironic's database alone.
"""

import dataclasses
import http
import http.client
import json
import os
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from zsbm_ironic.common import process, whole_file
from zsbm_ironic.lab import daemon, layout, network
from zsbm_ironic.lab.images import ramdisk

# A list is an option that is given several times.
Settings = dict[str, dict[str, str | list[str]]]


@dataclasses.dataclass(frozen=True)
class Conductor:
    """One conductor of the lab and where it keeps its things.

    :ivar number: 1 or 2; the first also serves the API of a single process.
    :ivar root: its folder.
    :ivar address: where agents and nodes reach it.
    :ivar ramdisk: (kernel, initramfs) of the deploy ramdisk.
    :ivar images: folder that file:// images may be in.
    :ivar unpacks: images are raw when they leave it, as Ironic does by
        default; else the ramdisk unpacks them.
    """

    number: int
    root: pathlib.Path
    address: str
    ramdisk: tuple[pathlib.Path, pathlib.Path]
    images: pathlib.Path
    unpacks: bool = True

    @property
    def name(self) -> str:
        return f'conductor-{self.number}'

    @property
    def config_file(self) -> pathlib.Path:
        return self.root / 'ironic.conf'

    @property
    def http_root(self) -> pathlib.Path:
        return self.root / 'httpboot'

    @property
    def tftp_root(self) -> pathlib.Path:
        return self.root / 'tftpboot'

    @property
    def http_url(self) -> str:
        return f'http://{self.address}:{layout.HTTP_PORT}'


def settings(conductor: Conductor) -> Settings:
    """Return what every Ironic of the lab has, whatever serves its boots."""
    kernel, initramfs = conductor.ramdisk
    api = f'http://{layout.CONDUCTOR_ADDRESSES[0]}:{layout.API_PORT}'
    root = conductor.root
    return {
        'DEFAULT': {
            'auth_strategy': 'noauth',
            'rpc_transport': 'none',
            'host': conductor.name,
            'my_ip': conductor.address,
            'state_path': f'{root}/state',
            # A console's password goes into a file here.
            'tempdir': f'{root}/state',
            'enabled_hardware_types': 'zsbm,ipmi,redfish',
            'enabled_bios_interfaces': 'no-bios,redfish',
            'enabled_console_interfaces': 'no-console,ipmitool-socat',
            'enabled_firmware_interfaces': 'no-firmware,redfish',
            'enabled_inspect_interfaces': 'agent,redfish,no-inspect',
            'enabled_network_interfaces': 'noop',
            'enabled_raid_interfaces': 'no-raid,agent,redfish',
            'enabled_rescue_interfaces': 'agent,no-rescue',
            'enabled_storage_interfaces': 'noop',
            'force_raw_images': str(conductor.unpacks).lower(),
        },
        'agent': {
            'certificates_path': f'{root}/certificates',
            'deploy_logs_collect': 'on_failure',
            'deploy_logs_local_path': f'{root}/agent-logs',
            'image_download_source': 'http',
        },
        'api': {'host_ip': layout.CONDUCTOR_ADDRESSES[0]},
        'console': {
            'port_range': '10000:10099',
            'terminal_pid_dir': f'{root}/state',
        },
        'conductor': {
            'deploy_kernel': f'file://{kernel}',
            'deploy_ramdisk': f'file://{initramfs}',
            'rescue_kernel': f'file://{kernel}',
            'rescue_ramdisk': f'file://{initramfs}',
            # The kernel unpacks the initramfs itself.
            'disable_zstandard_decompression': 'true',
            'file_url_allowed_paths': str(conductor.images),
        },
        'database': {'connection': f'sqlite:///{root}/ironic.sqlite'},
        'deploy': {
            'erase_devices_metadata_priority': '10',
            'erase_devices_priority': '0',
            'fast_track': 'true',
            'iso_master_path': f'{root}/master_iso_images',
            'http_root': str(conductor.http_root),
            'http_url': conductor.http_url,
        },
        'oslo_concurrency': {'lock_path': f'{root}/lock'},
        'pxe': {
            'file_permission': '416',  # 0640
            'images_path': f'{root}/images',
            'instance_master_path': f'{root}/master_images',
            'kernel_append_params': f'nofb {ramdisk.KERNEL_PARAMETERS}',
            'tftp_master_path': f'{root}/tftp_master_images',
            'tftp_root': str(conductor.tftp_root),
            'tftp_server': conductor.address,
        },
        'redfish': {'use_swift': 'false'},
        'sensor_data': {'send_sensor_data': 'false'},
        'service_catalog': {'auth_type': 'none', 'endpoint_override': api},
    }


def merge(base: Settings, *others: Settings) -> Settings:
    """Return `base` with the options of `others` laid over it."""
    merged = {section: dict(options) for section, options in base.items()}
    for other in others:
        for section, options in other.items():
            merged.setdefault(section, {}).update(options)
    return merged


def prepare(conductor: Conductor, options: Settings) -> None:
    """Write the configuration and make the folders; idempotent."""
    own = (layout.IRONIC_UID, layout.SHARED_GID)
    folder(conductor.root, own, 0o2750)
    for sub in (
        'httpboot',
        'httpboot/pxelinux.cfg',
        'tftpboot',
        'images',
        'master_images',
        'tftp_master_images',
        'state',
        'lock',
    ):
        folder(conductor.root / sub, own, 0o2750)
    write_config(conductor.config_file, options, own)


def has_database(conductor: Conductor) -> bool:
    """Say whether the tables were made to the last one."""
    return (conductor.root / 'database-made').exists()


def make_database(conductor: Conductor) -> None:
    """Make the tables; idempotent.

    :raises ProcessFailed: ironic-dbsync cannot make them.
    """
    if has_database(conductor):
        return
    # SQLite cannot be migrated (no ALTER of constraints), and what an
    # interrupted run left of it is of no use.
    (conductor.root / 'ironic.sqlite').unlink(missing_ok=True)
    process.run(
        [
            *network.nsenter(),
            *identity().argv(),
            # It must not go on where we are killed: the next one begins anew.
            *('setpriv', '--pdeathsig', 'KILL', '--'),
            executable('ironic-dbsync'),
            *('--config-file', conductor.config_file, 'create_schema'),
        ],
        timeout_s=300,
        env=environment(conductor.root),
    )
    (conductor.root / 'database-made').touch()


def single_process(conductor: Conductor) -> daemon.Daemon:
    """Return the process that is API and conductor in one."""
    return daemon.Daemon(
        'ironic',
        (executable('ironic'), '--config-file', str(conductor.config_file)),
        identity(),
        environment(conductor.root),
        ready=api_answers,
        ready_s=90,
    )


def identity() -> daemon.Identity:
    """Return the user that runs Ironic: no capability at all."""
    return daemon.Identity(layout.IRONIC_UID, layout.SHARED_GID)


def environment(root: pathlib.Path) -> Mapping[str, str]:
    """Return the variables of Ironic's processes: no home of anybody."""
    path = f'{pathlib.Path(sys.executable).parent}:/usr/sbin:/usr/bin'
    return {'HOME': str(root), 'PATH': f'{path}:/sbin:/bin'}


def executable(name: str) -> str:
    """Return the script `name` of the environment that runs the lab."""
    return str(pathlib.Path(sys.executable).parent / name)


def api_answers() -> bool:
    """Say whether the API lists a living driver."""
    return bool(_get('/v1/drivers').get('drivers'))


def api_listens() -> bool:
    """Say whether the API answers, with or without a conductor."""
    return bool(_get('/v1'))


def node_uuids() -> dict[str, str]:
    """Return the UUID of each named node; empty where no API answers."""
    nodes = _get('/v1/nodes').get('nodes', [])
    return {node['name']: node['uuid'] for node in nodes if node['name']}


def living_conductors() -> set[str]:
    """Return the hosts of the conductors that Ironic holds alive."""
    found = _get('/v1/conductors', '1.49').get('conductors', [])
    return {one['hostname'] for one in found if one['alive']}


def _get(path: str, version: str = '1.5') -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        connection = http.client.HTTPConnection(
            layout.CONDUCTOR_ADDRESSES[0], layout.API_PORT, timeout=10
        )
        try:
            connection.request(
                'GET',
                path,
                headers={'X-OpenStack-Ironic-API-Version': version},
            )
            answer = connection.getresponse()
            found: dict[str, Any] = json.load(answer)
            return found if answer.status == http.HTTPStatus.OK else {}
        except (OSError, ValueError):
            return {}
        finally:
            connection.close()

    return network.call(ask) if network.exists() else {}


def write_config(
    path: pathlib.Path, options: Settings, own: tuple[int, int]
) -> None:
    """Write an ini file that its owner and group alone can read."""
    lines = []
    for section, values in options.items():
        lines.append(f'[{section}]')
        for name, value in values.items():
            several = [value] if isinstance(value, str) else value
            lines += [f'{name} = {one}' for one in several]
    whole_file.write(path, '\n'.join(lines) + '\n', mode=0o640, own=own)


def folder(path: pathlib.Path, own: tuple[int, int], mode: int) -> None:
    """Make a folder with this owner and mode; idempotent."""
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, *own)
    path.chmod(mode)
