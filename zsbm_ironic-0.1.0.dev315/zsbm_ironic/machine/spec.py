# SPDX-License-Identifier: Apache-2.0
"""What one machine is made of: plain values that any process can rebuild.

Made by the lab from its machines file and by image rehearsals; read by every
other module of this room. Nothing here touches the disk.
"""

import dataclasses
import enum
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

#: A unix socket's path has room for this many bytes (sun_path, unix(7)).
SOCKET_PATH_BYTES = 107

#: Our own namespace: one name, one UUID, whichever process computes it.
_UUID_NAMESPACE = uuid.UUID('6f0b7c1e-4c55-5a44-9d5b-0b2e8d0f6a11')


def uuid_of(name: str) -> uuid.UUID:
    """Return the UUID of a machine's name."""
    return uuid.uuid5(_UUID_NAMESPACE, name)


class Firmware(enum.Enum):
    """What the machine runs before any boot loader."""

    BIOS = 'bios'
    UEFI = 'uefi'
    UEFI_SECUREBOOT = 'uefi-secureboot'

    @property
    def is_uefi(self) -> bool:
        """Whether the firmware keeps its settings in a variable store."""
        return self is not Firmware.BIOS


class BootDevice(enum.Enum):
    """What firmware can be told to try first."""

    NETWORK = 'network'
    HTTP = 'http'
    DISK = 'disk'
    CDROM = 'cdrom'


@dataclasses.dataclass(frozen=True)
class Disk:
    """One disk.

    :ivar bus: 'nvme', 'sata' (AHCI) or 'virtio'.
    :ivar path: the image file; it must exist before the machine is started.
    :ivar format: 'qcow2' or 'raw'.
    :ivar serial: what the guest reads as its serial number, at most 20
        characters; empty makes one of machine name and position.
    """

    bus: str
    path: pathlib.Path
    format: str = 'qcow2'
    serial: str = ''

    def __post_init__(self) -> None:
        if self.bus not in ('nvme', 'sata', 'virtio'):
            raise ValueError(f'disk bus {self.bus!r}: nvme, sata or virtio')


@dataclasses.dataclass(frozen=True)
class Nic:
    """One network card.

    :ivar model: QEMU device name: 'e1000e' acts like hardware.
    :ivar mac: address, lower case with colons.
    :ivar tap: name of a tap that exists already; None leaves it unplugged
        unless `netdev` is given.
    :ivar boot_rom: False takes the option ROM away: the firmware's own
        network stack, where it has one, boots the card.
    :ivar netdev: a QEMU -netdev without its id ('user', 'socket,...') to use
        in place of a tap.
    :ivar whole_frames: what leaves the tap is as on a wire, cut and with its
        checksum: a switch in user space takes no other.
    """

    model: str
    mac: str
    tap: str | None = None
    boot_rom: bool = True
    netdev: str | None = None
    whole_frames: bool = False


@dataclasses.dataclass(frozen=True)
class MachineSpec:
    """One machine; `state_dir` holds everything that outlives a process.

    :ivar name: for people, process lists and serial numbers.
    :ivar arch: as QEMU names it: x86_64, aarch64, riscv64 or loongarch64.
    :ivar cpus: with more than one, an emulated kernel that patches its own
        code now and then stops, or panics at an invalid opcode.
    :ivar accelerator: 'auto' probes (see accelerator.py), 'kvm' or 'tcg'.
    """

    name: str
    firmware: Firmware
    state_dir: pathlib.Path
    arch: str = 'x86_64'
    memory_mib: int = 2048
    cpus: int = 1
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    accelerator: str = 'auto'
    extra_arguments: tuple[str, ...] = ()

    @property
    def uuid(self) -> uuid.UUID:
        """SMBIOS UUID: the same for DHCP, Redfish and IPMI."""
        return uuid_of(self.name)

    def disk_serial(self, number: int) -> str:
        """Serial number of a disk: 20 characters at most (NVMe, ATA)."""
        declared = self.disks[number].serial
        return declared[:20] or f'{self.name[:13]}-disk{number}'

    @property
    def pid_file(self) -> pathlib.Path:
        """Holds QEMU's process id, locked by QEMU while it lives."""
        return self.state_dir / 'qemu.pid'

    @property
    def qmp_socket(self) -> pathlib.Path:
        """The monitor that commands go through, one at a time."""
        return self.state_dir / 'qmp.sock'

    @property
    def event_socket(self) -> pathlib.Path:
        """A second monitor, for one long-lived listener to events."""
        return self.state_dir / 'events.sock'

    @property
    def serial_socket(self) -> pathlib.Path:
        """First serial port: one client reads and writes it at a time."""
        return self.state_dir / 'serial.sock'

    @property
    def serial_log(self) -> pathlib.Path:
        """All that the machine ever printed on its first serial port."""
        return self.state_dir / 'serial.log'

    @property
    def variables(self) -> pathlib.Path:
        """This machine's own copy of the UEFI variable store."""
        return self.state_dir / f'{self.firmware.value}-vars.fd'


def from_mapping(values: Mapping[str, Any]) -> MachineSpec:
    """Build a spec from plain JSON values.

    :param values: keys as the fields of `MachineSpec`; disks and nics are
        lists of mappings with the fields of `Disk` and `Nic`.
    :raises ValueError: a value is not one that the field knows.
    :raises TypeError: a key is unknown or a required one missing.
    """
    fields = dict(values)
    fields['firmware'] = Firmware(fields.get('firmware', 'uefi'))
    fields['state_dir'] = pathlib.Path(fields['state_dir'])
    fields['disks'] = tuple(
        Disk(**{**disk, 'path': pathlib.Path(disk['path'])})
        for disk in fields.get('disks', ())
    )
    fields['nics'] = tuple(Nic(**nic) for nic in fields.get('nics', ()))
    fields['extra_arguments'] = tuple(fields.get('extra_arguments', ()))
    return MachineSpec(**fields)
