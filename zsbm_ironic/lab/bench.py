# SPDX-License-Identifier: Apache-2.0
"""The machines of a lab on the bench: each with its disks and its BMC.

Called by `up`, `down`, `status` and the faults. One emulator process a
machine, run by a user of its own that may open ports below 1024 and nothing
else; it starts the machine when its BMC is told to.
"""

import json
import os
import pathlib
import stat
from collections.abc import Mapping
from typing import Any

from zsbm_ironic import machine as machine_room
from zsbm_ironic.common import artifacts, exception, process, whole_file
from zsbm_ironic.lab import daemon, ironic, layout, machines
from zsbm_ironic.lab.emulator import client as clients
from zsbm_ironic.lab.emulator import config
from zsbm_ironic.lab.images import os_image
from zsbm_ironic.machine import accelerator, newer_qemu

TIMEOUT_S = 60
KVM = pathlib.Path('/dev/kvm')
OWN = (layout.EMULATOR_UID, layout.SHARED_GID)
# BMCs without machines are one process.
FLEET_PROCESS = 'bmc-fleet'
FLEET_SOCKET = 'control.sock'


def emulator_name(machine: machines.Declaration) -> str:
    """Return the name of the emulator's process."""
    return f'bmc-{machine.name}'


def prepare(
    machine: machines.Declaration,
    folders: layout.Layout,
    cache: artifacts.Artifacts,
    *,
    whole_frames: bool = False,
) -> daemon.Daemon:
    """Make disks and configuration and return the emulator's process.

    :param whole_frames: it is plugged into a switch in user space.
    :raises ZsbmError: what its architecture needs cannot be fetched.
    """
    folder = folders.machines / machine.name
    ironic.folder(folder, OWN, 0o750)
    disks = [
        _make_disk(folder / f'disk{number}.qcow2', disk)
        for number, disk in enumerate(machine.disks)
    ]
    speed, groups = usable_accelerator(machine.arch)
    document = _configuration(machine, folder, disks, whole_frames)
    document['machine']['accelerator'] = speed
    path = folder / 'emulator.json'
    whole_file.write(path, json.dumps(document, indent=2), own=OWN)
    ready = config.load(path).ready_path
    return daemon.Daemon(
        emulator_name(machine),
        (
            ironic.executable('python'),
            *('-m', 'zsbm_ironic.lab.emulator', str(path)),
        ),
        daemon.Identity(*OWN, groups, capabilities=('net_bind_service',)),
        _environment(machine.arch, folder, cache),
        # One that was killed leaves its file: it has to answer as well.
        ready=lambda: ready.exists() and bool(_ask(machine, folders)),
    )


def _environment(
    arch: str, folder: pathlib.Path, cache: artifacts.Artifacts
) -> Mapping[str, str]:
    """Return the emulator's variables, which its machine inherits.

    Only who declares a machine that needs a newer QEMU fetches one.
    """
    common = ironic.environment(folder)
    if arch not in newer_qemu.ARCHITECTURES:
        return common
    newer = newer_qemu.fetch(cache)
    return {**common, **newer.environment(common['PATH'])}


def client(
    machine: machines.Declaration, folders: layout.Layout
) -> clients.Client:
    """Return the client of the emulator's control socket."""
    path = folders.machines / machine.name / 'emulator.json'
    return clients.Client(config.load(path).control_path)


def fleet_client(folders: layout.Layout) -> clients.Client:
    """Return the client of BMCs without machines: of one, some, or all."""
    return clients.Client(folders.fleet / FLEET_SOCKET)


def switch_off(machine: machines.Declaration, folders: layout.Layout) -> None:
    """End the machine itself, whatever became of its emulator."""
    path = folders.machines / machine.name / 'emulator.json'
    if path.exists() and (spec := config.load(path).machine):
        machine_room.Machine(spec).kill()


def fingerprint(
    machine: machines.Declaration, folders: layout.Layout
) -> str | None:
    """Return the fingerprint of the BMC's certificate, as its label has it."""
    found = _ask(machine, folders).get('redfish')
    return found['fingerprint'] if found else None


def describe(
    machine: machines.Declaration,
    folders: layout.Layout,
    nodes: Mapping[str, str],
) -> dict[str, Any]:
    """Return what scripts need to know of a machine.

    :param nodes: UUID of each enrolled node by its name.
    """
    found = _ask(machine, folders)
    return {
        'name': machine.name,
        'node_uuid': nodes.get(machine.name),
        'power': found.get('power', 'unknown'),
        'firmware': machine.firmware.value,
        'disks': [f'{disk.bus} {disk.size_gib} GiB' for disk in machine.disks],
        'macs': [nic.mac for nic in machine.nics],
        'bmc_protocol': machine.protocol,
        'bmc_address': machine.bmc_address,
        'bmc_port': machine.bmc_port,
        'bmc_username': machines.BMC_USERNAME,
        'bmc_password': machine.bmc_password,
        'bmc_cert_fingerprint': found.get('redfish', {}).get('fingerprint'),
        'faults': found.get('faults'),
        'ssh': ' '.join(ssh_argv(machine, folders)),
        'serial_log': str(folders.machines / machine.name / 'serial.log'),
    }


def ssh_argv(
    machine: machines.Declaration, folders: layout.Layout
) -> list[str]:
    """Return the command that logs in, inside the lab, once delivered."""
    known_hosts = folders.machines / machine.name / 'known_hosts'
    options = {
        'BatchMode': 'yes',
        'ConnectTimeout': '5',
        'LogLevel': 'ERROR',
        'StrictHostKeyChecking': 'accept-new',
        'UserKnownHostsFile': str(known_hosts),
    }
    return [
        *('ssh', '-i', str(folders.ssh_key)),
        *(f'-o{name}={value}' for name, value in options.items()),
        f'{os_image.USERNAME}@{machine.address}',
    ]


def _ask(
    machine: machines.Declaration, folders: layout.Layout
) -> dict[str, Any]:
    try:
        return client(machine, folders).status()
    except exception.ZsbmError:
        return {}


def usable_accelerator(arch: str) -> tuple[str, tuple[int, ...]]:
    """Return what runs guests here, and the groups that may use it."""
    if accelerator.choose(arch) != 'kvm':
        return 'tcg', ()
    device = KVM.stat()
    if device.st_mode & stat.S_IROTH and device.st_mode & stat.S_IWOTH:
        return 'kvm', ()
    if device.st_mode & stat.S_IWGRP and device.st_gid != 0:
        return 'kvm', (device.st_gid,)
    return 'tcg', ()


def _configuration(
    machine: machines.Declaration,
    folder: pathlib.Path,
    disks: list[Any],
    whole_frames: bool,
) -> dict[str, Any]:
    login = {
        'address': machine.bmc_address,
        'username': machines.BMC_USERNAME,
        'password': machine.bmc_password,
    }
    document = {
        'name': machine.name,
        'state_dir': str(folder),
        'machine': {
            'firmware': machine.firmware.value,
            'arch': machine.arch,
            'memory_mib': machine.memory_mib,
            'cpus': machine.cpus,
            'disks': disks,
            'nics': [
                {
                    'model': nic.model,
                    'mac': nic.mac,
                    'tap': nic.tap,
                    'boot_rom': nic.boot_rom,
                    'whole_frames': whole_frames,
                }
                for nic in machine.nics
            ],
        },
        # As most real ones, a Redfish BMC has its serial console on IPMI.
        'ipmi': {**login, 'port': 623},
    }
    if machine.protocol == 'redfish':
        document['redfish'] = {**login, 'port': 443}
    return document


def _make_disk(
    path: pathlib.Path, disk: machines.DeclaredDisk
) -> dict[str, str]:
    if not path.exists():
        draft = path.with_suffix('.new')
        process.run(
            [
                *('qemu-img', 'create', '-q', '-f', 'qcow2', draft),
                f'{disk.size_gib}G',
            ],
            timeout_s=TIMEOUT_S,
        )
        os.chown(draft, *OWN)
        draft.rename(path)
    return {'bus': disk.bus, 'path': str(path), 'format': 'qcow2'}
