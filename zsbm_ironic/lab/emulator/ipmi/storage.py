# SPDX-License-Identifier: Apache-2.0
"""Commands of network functions Sensor and Storage: SDR, sensors, FRU, SEL."""

from typing import Any

from zsbm_ironic.lab.emulator import event_log, sensors
from zsbm_ironic.lab.emulator.ipmi import fru, registry, sdr

SENSOR, STORAGE = registry.SENSOR, registry.STORAGE

_RESERVATION = b'\x01\x00'
_LAST = 0xFFFF
_NO_READING = 0x20
_SCANNING = 0xC0


def _sensor(bmc: Any, number: int) -> sensors.Sensor | sensors.Part:
    table: tuple[sensors.Sensor | sensors.Part, ...]
    table = bmc.chassis.readings.table
    if not 1 <= number <= len(table):
        raise registry.Completion(registry.NOT_PRESENT)
    return table[number - 1]


@registry.command(SENSOR, 0x2D, 2)
def get_sensor_reading(bmc: Any, session: Any, data: bytes) -> bytes:
    """35.14: raw count, availability, thresholds crossed or bits of state."""
    sensor = _sensor(bmc, data[0])
    if isinstance(sensor, sensors.Part):
        bits = bmc.chassis.readings.bits(sensor).to_bytes(2, 'little')
        return bytes([0, _SCANNING]) + bits
    value = bmc.chassis.readings.value(sensor, bmc.chassis.is_on)
    if value is None:
        return bytes([0, _SCANNING | _NO_READING, 0xC0])
    return bytes(
        [sdr.raw(sensor, value), _SCANNING, 0xC0 | sdr.crossed(sensor, value)]
    )


@registry.command(SENSOR, 0x27, 2)
def get_sensor_thresholds(bmc: Any, session: Any, data: bytes) -> bytes:
    """35.9: readable mask, then the six thresholds."""
    sensor = _sensor(bmc, data[0])
    if isinstance(sensor, sensors.Part):
        raise registry.Completion(registry.NOT_PRESENT)
    return sdr.thresholds(sensor)


@registry.command(SENSOR, 0x2F, 2)
def get_sensor_type(bmc: Any, session: Any, data: bytes) -> bytes:
    """35.16: threshold sensors (0x01), and bits of their type (0x6F)."""
    sensor = _sensor(bmc, data[0])
    if isinstance(sensor, sensors.Part):
        return bytes([sensor.sensor_type, sdr.DISCRETE])
    return bytes([sensor.kind.sensor_type, 0x01])


@registry.command(STORAGE, 0x10, 2)
def get_fru_area_info(bmc: Any, session: Any, data: bytes) -> bytes:
    """34.1: size in bytes, read by bytes."""
    if data[0] != 0:
        raise registry.Completion(registry.NOT_PRESENT)
    size = len(fru.inventory(bmc.chassis.asset))
    return size.to_bytes(2, 'little') + b'\x00'


@registry.command(STORAGE, 0x11, 2)
def read_fru_data(bmc: Any, session: Any, data: bytes) -> bytes:
    """34.2: count, then the bytes."""
    if data[0] != 0:
        raise registry.Completion(registry.NOT_PRESENT)
    start = int.from_bytes(data[1:3], 'little')
    part = fru.inventory(bmc.chassis.asset)[start : start + data[3]]
    return bytes([len(part)]) + part


@registry.command(STORAGE, 0x20, 2)
def get_sdr_repository_info(bmc: Any, session: Any, data: bytes) -> bytes:
    """33.9: version 1.5 (0x51), record count, reservation supported."""
    count = len(bmc.chassis.readings.table).to_bytes(2, 'little')
    return b'\x51' + count + b'\x00\x00' + bytes(8) + b'\x02'


@registry.command(STORAGE, 0x22, 2)
def reserve_sdr_repository(bmc: Any, session: Any, data: bytes) -> bytes:
    """33.11: the repository never changes, so one number will do."""
    return _RESERVATION


@registry.command(STORAGE, 0x23, 2)
def get_sdr(bmc: Any, session: Any, data: bytes) -> bytes:
    """33.12: id of the next record, then a part of this one."""
    number = int.from_bytes(data[2:4], 'little')
    table = bmc.chassis.readings.table
    index = len(table) - 1 if number == _LAST else number
    if index >= len(table):
        raise registry.Completion(registry.NOT_PRESENT)
    if isinstance(table[index], sensors.Part):
        record = sdr.compact_record(index, table[index])
    else:
        record = sdr.record(index, table[index])
    following = index + 1 if index + 1 < len(table) else _LAST
    part = record[data[4] : data[4] + data[5]]
    return following.to_bytes(2, 'little') + part


@registry.command(STORAGE, 0x40, 2)
def get_sel_info(bmc: Any, session: Any, data: bytes) -> bytes:
    """31.2: version 1.5, count, room, times, reservation supported."""
    log = bmc.chassis.log
    room = 16 * (event_log.ROOM - len(log))
    newest = log.records[-1][3:7] if log.records else bytes(4)
    return (
        b'\x51'
        + len(log).to_bytes(2, 'little')
        + room.to_bytes(2, 'little')
        + newest
        + log.cleared_at.to_bytes(4, 'little')
        + b'\x02'
    )


@registry.command(STORAGE, 0x42, 2)
def reserve_sel(bmc: Any, session: Any, data: bytes) -> bytes:
    """31.4."""
    return _RESERVATION


@registry.command(STORAGE, 0x43, 2)
def get_sel_entry(bmc: Any, session: Any, data: bytes) -> bytes:
    """31.5: 0 is the first record, 0xFFFF the last."""
    log = bmc.chassis.log.records
    number = int.from_bytes(data[2:4], 'little')
    if number == 0:
        number = 1
    elif number == _LAST:
        number = len(log)
    if not 1 <= number <= len(log):
        raise registry.Completion(registry.NOT_PRESENT)
    following = number + 1 if number < len(log) else _LAST
    part = log[number - 1][data[4] : data[4] + data[5]]
    return following.to_bytes(2, 'little') + part


@registry.command(STORAGE, 0x47, 3)
def clear_sel(bmc: Any, session: Any, data: bytes) -> bytes:
    """31.9: the letters CLR, then 0xAA to erase or 0 to ask: done."""
    if data[2:5] != b'CLR':
        raise registry.Completion(registry.INVALID_FIELD)
    if data[5] == 0xAA:
        bmc.chassis.log.clear(bmc.state.clock())
    return b'\x01'


@registry.command(STORAGE, 0x48, 2)
def get_sel_time(bmc: Any, session: Any, data: bytes) -> bytes:
    """31.10."""
    clock: int = bmc.state.clock()
    return clock.to_bytes(4, 'little')


@registry.command(STORAGE, 0x49, 3)
def set_sel_time(bmc: Any, session: Any, data: bytes) -> bytes:
    """31.11."""
    wanted = int.from_bytes(data[:4], 'little')
    bmc.state.clock_offset_s += wanted - bmc.state.clock()
    return b''
