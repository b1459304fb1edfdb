# SPDX-License-Identifier: Apache-2.0
"""Commands of network function Chassis: power, boot device, identify."""

import time
from typing import Any

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator.event_log import PowerEvent
from zsbm_ironic.lab.emulator.ipmi import registry

Target = chassis_room.Target
CHASSIS = registry.CHASSIS

#: Boot device selectors of table 28-14, parameter 5, data 2, bits 5:2.
_SELECTORS = {
    0x0: Target.NONE,
    0x1: Target.PXE,
    0x2: Target.DISK,
    0x3: Target.DISK,
    0x5: Target.CDROM,
    0x6: Target.SETUP,
    0x8: Target.CDROM,
}
_CODES = {
    Target.NONE: 0x0,
    Target.PXE: 0x1,
    # A network boot, whichever way Redfish asked for it.
    Target.HTTP: 0x1,
    Target.DISK: 0x2,
    Target.CDROM: 0x5,
    Target.SETUP: 0x6,
}

_VALID, _PERSISTENT, _EFI = 0x80, 0x40, 0x20
_IDENTIFY_DEFAULT_S = 15

#: Parameters that are stored by nobody: taken, and shown as zeros.
_IGNORED_PARAMETERS = {0: 1, 1: 1, 2: 1, 4: 2, 6: 9, 7: 3}


@registry.command(CHASSIS, 0x00, 2)
def get_capabilities(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.1: power interlock and diagnostic interrupt; all at 0x20."""
    return b'\x0c\x20\x20\x20\x20\x20'


@registry.command(CHASSIS, 0x01, 2)
def get_status(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.2: power, the last power event, the identify light."""
    indicator = bmc.chassis.indicator
    identify = 0x40
    if indicator.is_lit:
        identify |= 0x20 if indicator.until is None else 0x10
    power = 0x20 | (1 if bmc.chassis.is_on else 0)
    return bytes([power, bmc.state.last_power_event, identify, 0])


@registry.command(CHASSIS, 0x02, 3)
def chassis_control(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.3: answers at once; the power follows."""
    chassis = bmc.chassis
    act = {
        0: chassis.power_off,
        1: chassis.power_on,
        2: chassis.power_cycle,
        3: chassis.reset,
        4: chassis.nmi,
        5: chassis.soft_off,
    }.get(data[0] & 0x0F)
    if act is None:
        raise registry.Completion(registry.INVALID_FIELD)
    if data[0] & 0x0F in (2, 3) and not chassis.is_on:
        raise registry.Completion(registry.NOT_IN_THIS_STATE)
    bmc.state.boot_set_at = None
    # Bit 4: the last power-on came by an IPMI command.
    bmc.state.last_power_event = 0x10 if data[0] & 0x0F in (1, 2) else 0
    event = {
        0: PowerEvent.OFF,
        1: PowerEvent.ON,
        2: PowerEvent.CYCLE,
        5: PowerEvent.OFF,
    }.get(data[0] & 0x0F)
    if event is not None:
        chassis.log.power(event, bmc.state.clock())
    act()
    return b''


@registry.command(CHASSIS, 0x04, 3)
def identify(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.5: 15 seconds when not said, 0 is off, byte 2 bit 0 for good."""
    if len(data) > 1 and data[1] & 1:
        bmc.chassis.indicator.light(None)
    else:
        seconds = data[0] if data else _IDENTIFY_DEFAULT_S
        bmc.chassis.indicator.light(float(seconds))
    return b''


@registry.command(CHASSIS, 0x06, 3)
def set_restore_policy(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.8: stay off and power up are the policies there are."""
    return b'\x05'


@registry.command(CHASSIS, 0x07, 2)
def get_restart_cause(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.11: chassis control command, on channel 1."""
    return b'\x01\x01'


@registry.command(CHASSIS, 0x08, 3)
def set_boot_options(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.12: parameter 5 chooses, parameter 3 keeps it past the time-out."""
    parameter = data[0] & 0x7F
    if parameter == 3:
        bmc.state.boot_flag_clearing = data[1]
    elif parameter == 5:
        _set_boot_flags(bmc, data[1:])
    elif parameter not in _IGNORED_PARAMETERS:
        raise registry.Completion(0x80)
    return b''


def _set_boot_flags(bmc: Any, data: bytes) -> None:
    flags, selector = data[0], (data[1] >> 2) & 0x0F
    target = _SELECTORS.get(selector)
    if target is None:
        raise registry.Completion(registry.INVALID_FIELD)
    if not flags & _VALID:
        target = Target.NONE
    uefi = bool(flags & _EFI)
    if target is not Target.NONE:
        bmc.state.boot_set_at = time.monotonic()
    bmc.chassis.set_boot(
        chassis_room.BootOverride(target, bool(flags & _PERSISTENT), uefi)
    )


@registry.command(CHASSIS, 0x09, 3)
def get_boot_options(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.13: parameter version 1, the number, its data."""
    parameter = data[0] & 0x7F
    if parameter == 3:
        value = bytes([bmc.state.boot_flag_clearing])
    elif parameter == 5:
        boot = bmc.chassis.boot
        flags = 0
        if boot.target is not Target.NONE:
            flags |= _VALID
        if boot.persistent:
            flags |= _PERSISTENT
        if boot.uefi:
            flags |= _EFI
        value = bytes([flags, _CODES[boot.target] << 2, 0, 0, 0])
    elif parameter in _IGNORED_PARAMETERS:
        value = bytes(_IGNORED_PARAMETERS[parameter])
    else:
        raise registry.Completion(0x80)
    return bytes([1, parameter]) + value


@registry.command(CHASSIS, 0x0F, 2)
def get_power_on_hours(bmc: Any, session: Any, data: bytes) -> bytes:
    """28.14: sixty minutes a count; a young machine."""
    return b'\x3c\x01\x00\x00\x00'
