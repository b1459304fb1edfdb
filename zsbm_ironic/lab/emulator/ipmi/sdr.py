# SPDX-License-Identifier: Apache-2.0
"""Sensor data records: how a raw count becomes degrees, volts or watts.

Full sensor record, type 01h, and compact one, type 02h, of parts that have no
figure: tables 43-1 and 43-2 of the IPMI v2.0 specification.
"""

from zsbm_ironic.lab.emulator import sensors

#: Event/reading type: bits that the type of a sensor names (table 42-1).
DISCRETE = 0x6F
#: Order of the six thresholds in masks and records:
#: lower non-critical, critical, non-recoverable, then upper.
_LOWER_CRITICAL, _UPPER_WARNING, _UPPER_CRITICAL = 1, 3, 4


def raw(sensor: sensors.Sensor, value: float) -> int:
    """Return the eight-bit count that stands for a value."""
    return max(0, min(255, round(value / sensor.kind.step)))


def _limits(sensor: sensors.Sensor) -> list[int | None]:
    limits: list[int | None] = [None] * 6
    for position, value in (
        (_LOWER_CRITICAL, sensor.lower_critical),
        (_UPPER_WARNING, sensor.upper_warning),
        (_UPPER_CRITICAL, sensor.upper_critical),
    ):
        if value is not None:
            limits[position] = raw(sensor, value)
    return limits


def _mask(sensor: sensors.Sensor) -> int:
    return sum(
        1 << position
        for position, limit in enumerate(_limits(sensor))
        if limit is not None
    )


def crossed(sensor: sensors.Sensor, value: float) -> int:
    """Return the comparison bits of Get Sensor Reading (table 35-15)."""
    count, bits = raw(sensor, value), 0
    for position, limit in enumerate(_limits(sensor)):
        if limit is None:
            continue
        below = position < 3
        if (below and count <= limit) or (not below and count >= limit):
            bits |= 1 << position
    return bits


def thresholds(sensor: sensors.Sensor) -> bytes:
    """Return the answer to Get Sensor Thresholds."""
    return bytes([_mask(sensor), *(limit or 0 for limit in _limits(sensor))])


def record(index: int, sensor: sensors.Sensor) -> bytes:
    """Return the record of the sensor at a position of the table."""
    name = sensor.name.encode()[:16]
    multiplier, exponent = _factor(sensor.kind.step)
    limits = [limit or 0 for limit in _limits(sensor)]
    mask = _mask(sensor)
    body = bytes(
        [
            0x20,  # owner: the BMC
            0x00,  # channel 0, LUN 0
            index + 1,  # sensor number
            sensor.entity,
            1,  # entity instance
            0x7F,  # initialised by power-up
            0x68,  # automatic re-arm, thresholds readable
            sensor.kind.sensor_type,
            0x01,  # threshold sensor
        ]
    )
    # Assertion, deassertion and readable-threshold masks.
    body += bytes(4) + bytes([mask, 0])
    body += bytes([0x00, sensor.kind.unit, 0x00])  # unsigned, base unit
    body += bytes(
        [
            0x00,  # linear
            multiplier & 0xFF,
            (multiplier >> 8) << 6,
            0,  # B
            0,
            0,
            (exponent & 0x0F) << 4,  # R exponent, B exponent 0
            0x01,  # nominal reading given
            raw(sensor, sensor.value),
            0,
            0,
            255,  # largest reading
            0,
        ]
    )
    # Upper non-recoverable first, lower non-critical last.
    body += bytes([limits[5], limits[4], limits[3]])
    body += bytes([limits[2], limits[1], limits[0]])
    body += bytes([1, 1, 0, 0, 0])  # hysteresis, reserved, OEM
    body += bytes([0xC0 | len(name)]) + name
    return index.to_bytes(2, 'little') + bytes([0x51, 0x01, len(body)]) + body


def compact_record(index: int, part: sensors.Part) -> bytes:
    """Return the record of the part at a position of the table."""
    name = part.name.encode()[:16]
    mask = (part.value | part.failed).to_bytes(2, 'little')
    body = bytes(
        [
            0x20,  # owner: the BMC
            0x00,  # channel 0, LUN 0
            index + 1,  # sensor number
            part.entity,
            1,  # entity instance
            0x7F,  # initialised by power-up
            0x40,  # automatic re-arm, no thresholds
            part.sensor_type,
            DISCRETE,
        ]
    )
    body += mask * 3  # assertion, deassertion and readable events
    body += bytes([0xC0, 0, 0])  # no figure, no unit
    body += bytes([1, 0])  # shared with nobody
    body += bytes(6)  # hysteresis, reserved, OEM
    body += bytes([0xC0 | len(name)]) + name
    return index.to_bytes(2, 'little') + bytes([0x51, 0x02, len(body)]) + body


def _factor(step: float) -> tuple[int, int]:
    """Split a step into a multiplier and a power of ten (R exponent)."""
    if step >= 1:
        return int(step), 0
    return round(step * 10), -1
