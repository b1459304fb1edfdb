# SPDX-License-Identifier: Apache-2.0
"""What every BMC can be asked, and the values that go in and out.

Called by the drivers and by monitoring, which never see pyghmi or sushy.
Everything here is immutable; nothing outlives a call.
"""

import dataclasses
import enum
from typing import Protocol


class PowerState(enum.Enum):
    """Chassis power as the BMC reports it."""

    ON = 'on'
    OFF = 'off'


class PowerAction(enum.Enum):
    """What a chassis can be told; values are the words used in messages."""

    ON = 'power on'
    OFF = 'power off'
    SOFT_OFF = 'soft power off'
    RESET = 'reset'
    NMI = 'diagnostic interrupt'


class BootDevice(enum.Enum):
    """Boot devices, in Ironic's words."""

    PXE = 'pxe'
    DISK = 'disk'
    CDROM = 'cdrom'
    BIOS = 'bios'
    SAFE = 'safe'


class Health(enum.Enum):
    """Worst state among a machine's components; order is severity."""

    OK = 'OK'
    WARNING = 'Warning'
    CRITICAL = 'Critical'
    UNKNOWN = 'Unknown'


@dataclasses.dataclass(frozen=True)
class BootSetting:
    """The boot device override that the BMC holds.

    :ivar device: None when there is no override or an unknown one.
    :ivar persistent: it holds for all boots, not only for the next one.
    :ivar efi: it asks for an EFI boot; None where the protocol cannot say.
    """

    device: BootDevice | None
    persistent: bool | None
    efi: bool | None = None


@dataclasses.dataclass(frozen=True)
class SensorReading:
    """One sensor at one moment.

    :ivar name: the sensor's name on this BMC, for example `Inlet Temp`.
    :ivar kind: Temperature, Fan, Voltage, Power ... as the BMC names it.
    :ivar value: the figure in `unit`; None where the sensor has only states.
    :ivar unit: C, RPM, V, W, A or %; None without a figure.
    :ivar health: the sensor against its thresholds.
    :ivar states: what a discrete sensor asserts, for example `Present`.
    """

    name: str
    kind: str
    value: float | None
    unit: str | None
    health: Health
    states: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class VendorInfo:
    """Who made the machine, as far as the BMC knows; None is not known."""

    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    bmc_firmware: str | None = None


class BmcProtocol(enum.Enum):
    """How a BMC is spoken to; AUTO means that detection decides."""

    AUTO = 'auto'
    REDFISH = 'redfish'
    IPMI = 'ipmi'


class Bmc(Protocol):
    """A logged-in BMC: what both protocols answer.

    Methods raise the errors of `common.exception`, each within 30 s.
    """

    @property
    def protocol(self) -> BmcProtocol:
        """REDFISH or IPMI."""
        ...

    def get_power(self) -> PowerState:
        """Ask the BMC now."""
        ...

    def get_boot_device(self) -> BootSetting:
        """Return the override that the BMC holds."""
        ...

    def sensors(self) -> tuple[SensorReading, ...]:
        """Read every sensor once."""
        ...

    def health(self) -> Health:
        """Return the worst state among the components."""
        ...

    def logged_events(self) -> int | None:
        """Count the entries of the event log; None where unknown."""
        ...

    def vendor(self) -> VendorInfo:
        """Return maker, model, serial number and firmware."""
        ...

    def macs(self) -> tuple[str, ...]:
        """Return the NICs' MAC addresses, lower case; () where unknown."""
        ...

    def secure_boot(self) -> bool | None:
        """Return whether Secure Boot is on; None where unknown."""
        ...

    def close(self) -> None:
        """Free the BMC's session slot; safe to call twice."""
        ...


def worst(healths: 'list[Health]') -> Health:
    """Return the most severe of some states; UNKNOWN counts least.

    No states at all is UNKNOWN.
    """
    for health in (Health.CRITICAL, Health.WARNING, Health.OK):
        if health in healths:
            return health
    return Health.UNKNOWN
