# SPDX-License-Identifier: Apache-2.0
"""The hardware behind an emulated BMC: what IPMI and Redfish both act on.

A `Chassis` is asked by the protocol servers and knows no protocol. Two exist:
`MemoryChassis` is a state machine for tests that need no guest,
`qemu.QemuChassis` is a QEMU machine.
"""

import dataclasses
import enum
import threading
import time
import uuid
from typing import Protocol

from zsbm_ironic.lab.emulator import event_log, sensors


class Target(enum.Enum):
    """A boot device as a BMC names it, with its IPMI boot flag selector.

    IPMI v2.0, table 28-14, boot flags, data 2; HTTP has no IPMI selector.
    """

    NONE = 'none'
    PXE = 'pxe'
    HTTP = 'http'
    DISK = 'disk'
    CDROM = 'cdrom'
    SETUP = 'bios'


@dataclasses.dataclass(frozen=True)
class BootOverride:
    """What the BMC makes the firmware try first.

    :ivar target: NONE is no override: the firmware's own order.
    :ivar persistent: every boot, else the next one only.
    :ivar uefi: the mode asked for with it; None was not said.
    """

    target: Target = Target.NONE
    persistent: bool = False
    uefi: bool | None = None


@dataclasses.dataclass(frozen=True)
class DiskInfo:
    """A disk as an inventory shows it."""

    name: str
    bus: str
    size_bytes: int
    serial: str


@dataclasses.dataclass(frozen=True)
class Asset:
    """What is printed on the box, and what is in it.

    :ivar manufacturer_id: IANA enterprise number, as Get Device ID says it.
    """

    name: str
    uuid: uuid.UUID
    manufacturer: str = 'Emulated Servers Inc.'
    manufacturer_id: int = 0
    product: str = 'Emulated server'
    macs: tuple[str, ...] = ()
    cpus: int = 2
    memory_mib: int = 2048
    disks: tuple[DiskInfo, ...] = ()
    uefi: bool = True
    secure_boot: bool = False

    @property
    def serial_number(self) -> str:
        """One number for box and board."""
        return f'ZS{self.uuid.hex[:8].upper()}'


@dataclasses.dataclass
class Indicator:
    """The identify light: dark, on until a moment, or on for good."""

    until: float | None = 0.0

    @property
    def is_lit(self) -> bool:
        """Whether a person in front of the box sees it."""
        return self.until is None or time.monotonic() < self.until

    def light(self, seconds: float | None) -> None:
        """Light it for a time, None for good, 0 for not at all."""
        self.until = None if seconds is None else time.monotonic() + seconds


class Chassis(Protocol):
    """What a protocol server needs of the hardware; all calls return now.

    :ivar last_error: why the last power action failed, None where it did not.
    """

    asset: Asset
    indicator: Indicator
    readings: sensors.Readings
    log: event_log.EventLog
    last_error: str | None

    @property
    def is_on(self) -> bool:
        """Whether the machine has power."""

    @property
    def serial_path(self) -> str | None:
        """Unix socket of the serial port, None where there is none."""

    def power_on(self) -> None:
        """Press the power button of a machine that is off."""

    def power_off(self) -> None:
        """Cut the power."""

    def power_cycle(self) -> None:
        """Cut the power and give it again."""

    def reset(self) -> None:
        """Pull the reset line; the power stays."""

    def soft_off(self) -> None:
        """Ask the operating system to power off."""

    def nmi(self) -> None:
        """Raise a diagnostic interrupt."""

    @property
    def boot(self) -> BootOverride:
        """What the next boot tries first."""

    def set_boot(self, override: BootOverride) -> None:
        """Choose what the next boot tries first."""

    @property
    def secure_boot(self) -> bool:
        """Whether firmware refuses unsigned loaders."""

    def set_secure_boot(self, enabled: bool) -> None:
        """Switch secure boot; counts from the next power-on."""

    def set_media(self, path: str | None) -> None:
        """Insert an image into the virtual CD drive, or eject."""

    def set_link(self, nic: int, plugged: bool) -> None:
        """Pull a network cable, or put it back."""

    def close(self) -> None:
        """End threads of our own; the machine stays as it is."""


class MemoryChassis:
    """A machine that exists only as state; every action is at once.

    :ivar actions: what was asked of it, oldest first, for tests.
    :ivar soft_off_works: False is an operating system that ignores the
        power button.
    """

    def __init__(self, asset: Asset, *, is_on: bool = False) -> None:
        self.asset = asset
        self.indicator = Indicator()
        self.readings = sensors.Readings()
        self.log = event_log.EventLog()
        self.last_error: str | None = None
        self.actions: list[str] = []
        self.soft_off_works = True
        self.media: str | None = None
        self.links: dict[int, bool] = {}
        self._is_on = is_on
        self._boot = BootOverride()
        self._secure_boot = asset.secure_boot
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether the machine has power."""
        return self._is_on

    @is_on.setter
    def is_on(self, value: bool) -> None:
        self._is_on = value

    @property
    def serial_path(self) -> str | None:
        """No serial port."""
        return None

    def _act(self, action: str, is_on: bool, boots: bool) -> None:
        with self._lock:
            self.actions.append(action)
            self._is_on = is_on
            if boots and not self._boot.persistent:
                self._boot = BootOverride()

    def power_on(self) -> None:
        """Power on; the one-time boot device is used up."""
        self._act('on', True, not self._is_on)

    def power_off(self) -> None:
        """Power off."""
        self._act('off', False, False)

    def power_cycle(self) -> None:
        """Power off and on; the one-time boot device is used up."""
        self._act('cycle', True, True)

    def reset(self) -> None:
        """Reset; the one-time boot device is used up."""
        self._act('reset', self._is_on, self._is_on)

    def soft_off(self) -> None:
        """Power off, unless the operating system ignores it."""
        self._act('soft', self._is_on and not self.soft_off_works, False)

    def nmi(self) -> None:
        """Note it."""
        self._act('nmi', self._is_on, False)

    @property
    def boot(self) -> BootOverride:
        """What the next boot tries first."""
        return self._boot

    def set_boot(self, override: BootOverride) -> None:
        """Choose what the next boot tries first."""
        with self._lock:
            self.actions.append(f'boot {override.target.value}')
            self._boot = override

    @property
    def secure_boot(self) -> bool:
        """Whether secure boot is on."""
        return self._secure_boot

    def set_secure_boot(self, enabled: bool) -> None:
        """Switch it."""
        self._secure_boot = enabled

    def set_media(self, path: str | None) -> None:
        """Remember it."""
        self.media = path

    def set_link(self, nic: int, plugged: bool) -> None:
        """Remember it."""
        self.links[nic] = plugged

    def close(self) -> None:
        """Nothing runs."""
