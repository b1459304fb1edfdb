# SPDX-License-Identifier: Apache-2.0
"""Sensors of an emulated server: one table for IPMI and Redfish.

Readings are steady, so that a test can name them; a test or `zsbm-lab fault`
sets one to see what happens above a threshold.
"""

import dataclasses
import enum


class Kind(enum.Enum):
    """What a sensor measures: (IPMI sensor type, IPMI base unit, step).

    Types and units: IPMI v2.0, tables 42-3 and 43-15. The step is what one
    count of the eight-bit raw reading stands for.
    """

    TEMPERATURE = (0x01, 1, 1.0)
    VOLTAGE = (0x02, 4, 0.1)
    FAN = (0x04, 18, 100.0)
    POWER = (0x0B, 6, 4.0)

    @property
    def sensor_type(self) -> int:
        """IPMI sensor type code."""
        return self.value[0]

    @property
    def unit(self) -> int:
        """IPMI base unit code."""
        return self.value[1]

    @property
    def step(self) -> float:
        """Value of one count of the raw reading."""
        return self.value[2]


@dataclasses.dataclass(frozen=True)
class Sensor:
    """One analog sensor, in degrees Celsius, volts, RPM or watts.

    :ivar needs_power: no reading while the machine is off.
    :ivar entity: IPMI entity id (table 43-13): 3 CPU, 7 board, 10 power
        supply, 29 fan, 55 inlet air.
    :ivar lower_critical, upper_warning, upper_critical: thresholds; None is
        a threshold that the sensor does not have.
    """

    name: str
    kind: Kind
    value: float
    entity: int
    needs_power: bool = False
    lower_critical: float | None = None
    upper_warning: float | None = None
    upper_critical: float | None = None


SENSORS = (
    Sensor(
        'Inlet Temp',
        Kind.TEMPERATURE,
        23,
        55,
        lower_critical=5,
        upper_warning=38,
        upper_critical=42,
    ),
    Sensor(
        'CPU1 Temp',
        Kind.TEMPERATURE,
        41,
        3,
        needs_power=True,
        upper_warning=85,
        upper_critical=95,
    ),
    Sensor('Fan1', Kind.FAN, 5600, 29, needs_power=True, lower_critical=1000),
    Sensor('Fan2', Kind.FAN, 5500, 29, needs_power=True, lower_critical=1000),
    Sensor(
        '12V Rail',
        Kind.VOLTAGE,
        12.1,
        7,
        needs_power=True,
        lower_critical=10.8,
        upper_critical=13.2,
    ),
    Sensor('Pwr Consumption', Kind.POWER, 180, 10, upper_critical=800),
)


@dataclasses.dataclass(frozen=True)
class Part:
    """A component that tells by bits how it is: a discrete sensor of IPMI.

    :ivar sensor_type: IPMI v2.0, table 42-3, which names the bits too.
    :ivar entity: as of a Sensor.
    :ivar value: its bits while all is well.
    :ivar failed: its bits where it has failed.
    """

    name: str
    sensor_type: int
    entity: int
    value: int
    failed: int


#: What a server can have beside SENSORS.
PARTS = (
    # presence; failure detected
    Part('PSU1 Status', 0x08, 10, 0b1, 0b11),
    # presence; uncorrectable ECC
    Part('DIMM A1', 0x0C, 32, 0b1000000, 0b1000010),
    # presence; fault
    Part('Drive 0', 0x0D, 4, 0b1, 0b11),
)

#: What the power meter shows while the machine is off: the BMC itself.
STANDBY_W = 8


@dataclasses.dataclass
class Readings:
    """Current values; `overrides` is what a fault set by sensor name.

    :ivar parts: what the server has beside SENSORS; over IPMI alone.
    """

    overrides: dict[str, float] = dataclasses.field(default_factory=dict)
    parts: tuple[Part, ...] = ()

    @property
    def table(self) -> tuple[Sensor | Part, ...]:
        """Return all sensors, in the order of their numbers."""
        return (*SENSORS, *self.parts)

    def bits(self, part: Part) -> int:
        """Return how a part is."""
        return int(self.overrides.get(part.name, part.value))

    def value(self, sensor: Sensor, is_on: bool) -> float | None:
        """Return the reading, None where an unpowered sensor has none."""
        if sensor.needs_power and not is_on:
            return None
        if sensor.name in self.overrides:
            return self.overrides[sensor.name]
        if sensor.kind is Kind.POWER and not is_on:
            return STANDBY_W
        return sensor.value


def health(sensor: Sensor, value: float | None) -> str:
    """Return 'OK', 'Warning' or 'Critical' as Redfish names it."""
    if value is None:
        return 'OK'
    if sensor.upper_critical is not None and value >= sensor.upper_critical:
        return 'Critical'
    if sensor.lower_critical is not None and value <= sensor.lower_critical:
        return 'Critical'
    if sensor.upper_warning is not None and value >= sensor.upper_warning:
        return 'Warning'
    return 'OK'
