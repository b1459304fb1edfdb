# SPDX-License-Identifier: Apache-2.0
"""Commands of network function Transport: LAN and serial-over-LAN settings."""

import ipaddress
from typing import Any

from zsbm_ironic.lab.emulator.ipmi import registry

TRANSPORT = registry.TRANSPORT

_REVISION = b'\x11'
_UNKNOWN_PARAMETER = 0x80


def bmc_mac(bmc: Any) -> bytes:
    """The BMC's own address: locally administered, made of the UUID."""
    node: bytes = bmc.chassis.asset.uuid.bytes
    return b'\x02' + node[:5]


def _address(bmc: Any) -> bytes:
    address = ipaddress.ip_address(bmc.settings.address)
    return address.packed if address.version == 4 else bytes(4)


@registry.command(TRANSPORT, 0x02, 3)
def get_lan_parameters(bmc: Any, session: Any, data: bytes) -> bytes:
    """23.2: what `ipmitool lan print` shows."""
    if data[0] & 0x80:
        return _REVISION
    suites = bytes(sorted(bmc.settings.cipher_suites))
    values = {
        0: b'\x00',  # set complete
        1: b'\x00',  # no IPMI v1.5 authentication
        2: bytes(5),
        3: _address(bmc),
        4: b'\x01',  # static
        5: bmc_mac(bmc),
        6: b'\xff\xff\xff\x00',
        12: bytes(4),
        13: bytes(6),
        14: bytes(4),
        15: bytes(6),
        16: b'public'.ljust(18, b'\x00'),
        20: bytes(2),  # no VLAN
        21: b'\x00',
        22: bytes([len(suites)]),
        23: b'\x00' + suites.ljust(16, b'\x00'),
        24: b'\x00' + _suite_privileges(len(suites), bmc.max_privilege),
    }
    if data[1] not in values:
        raise registry.Completion(_UNKNOWN_PARAMETER)
    return _REVISION + values[data[1]]


def _suite_privileges(count: int, highest: int) -> bytes:
    """Highest role per suite, four bits each, eight bytes."""
    nibbles = [highest] * count + [0] * (16 - count)
    return bytes(
        low | high << 4
        for low, high in zip(nibbles[::2], nibbles[1::2], strict=True)
    )


@registry.command(TRANSPORT, 0x21, 4)
def set_sol_parameters(bmc: Any, session: Any, data: bytes) -> bytes:
    """26.2: taken; our serial port has no speed to set."""
    return b''


@registry.command(TRANSPORT, 0x22, 2)
def get_sol_parameters(bmc: Any, session: Any, data: bytes) -> bytes:
    """26.3: enabled for users, 115200 baud, on our own UDP port."""
    if data[0] & 0x80:
        return _REVISION
    values = {
        0: b'\x00',
        1: b'\x01',
        2: b'\xc2',  # encrypted and signed, user level
        3: b'\x0c\x60',
        4: b'\x07\x32',
        5: b'\x0a',
        6: b'\x0a',
        7: b'\x01',
        8: int(bmc.port).to_bytes(2, 'little'),
    }
    if data[1] not in values:
        raise registry.Completion(_UNKNOWN_PARAMETER)
    return _REVISION + values[data[1]]
