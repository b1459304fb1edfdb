# SPDX-License-Identifier: Apache-2.0
"""Commands of network function App: identity, channels, users, payloads."""

import struct
from typing import Any

from zsbm_ironic.lab.emulator.ipmi import registry
from zsbm_ironic.lab.emulator.ipmi import session as sessions

APP = registry.APP

_LAN_CHANNEL = 1
_THIS_CHANNEL = 0x0E
_SOL = 1
_USER_ID = 2
_RESTART_SILENCE_S = 2.0


@registry.command(APP, 0x01, 2)
def get_device_id(bmc: Any, session: Any, data: bytes) -> bytes:
    """20.1: firmware 1.04, IPMI 2.0; sensors, SDR, SEL, FRU, chassis."""
    maker = bmc.chassis.asset.manufacturer_id.to_bytes(3, 'little')
    return b'\x20\x81\x01\x04\x02\x8f' + maker + b'\x01\x00' + bytes(4)


@registry.command(APP, 0x02, 4)
def cold_reset(bmc: Any, session: Any, data: bytes) -> bytes:
    """20.2: the management controller restarts, the machine does not."""
    bmc.restart(_RESTART_SILENCE_S)
    return b''


@registry.command(APP, 0x03, 4)
def warm_reset(bmc: Any, session: Any, data: bytes) -> bytes:
    """20.3: as a cold reset."""
    bmc.restart(_RESTART_SILENCE_S)
    return b''


@registry.command(APP, 0x04, 2)
def get_self_test_results(bmc: Any, session: Any, data: bytes) -> bytes:
    """20.4: 0x55, no error."""
    return b'\x55\x00'


@registry.command(APP, 0x37, 0)
def get_system_guid(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.14: the machine's SMBIOS UUID, in SMBIOS byte order."""
    guid: bytes = bmc.guid
    return guid


@registry.command(APP, 0x38, 0)
def get_channel_authentication(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.13: IPMI v2.0 only, named users, two-key login where set."""
    if data[0] & 0x0F not in (_LAN_CHANNEL, _THIS_CHANNEL):
        raise registry.Completion(registry.INVALID_FIELD)
    extended = data[0] & 0x80
    status = 0x04 | (0x20 if bmc.session_key else 0)
    return bytes(
        [_LAN_CHANNEL, 0x80 if extended else 0, status, 0x02, 0, 0, 0, 0]
    )


@registry.command(APP, 0x3B, 2)
def set_session_privilege(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.18: up to what the login asked for; 0 asks what it is."""
    wanted = data[0] & 0x0F
    if wanted > session.max_privilege:
        raise registry.Completion(0x81)
    if wanted == 1:
        raise registry.Completion(0x80)
    if wanted:
        session.privilege = wanted
    return bytes([session.privilege])


@registry.command(APP, 0x3C, 2)
def close_session(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.19: ends after the answer; another one's id is refused."""
    if data[:4] != session.local_id:
        raise registry.Completion(0x87)
    return b''


@registry.command(APP, 0x3D, 2)
def get_session_info(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.20: for the session that asks."""
    return bytes(
        [
            1,
            sessions.MAX_SESSIONS,
            bmc.session_count,
            _USER_ID,
            session.privilege,
            0x10 | _LAN_CHANNEL,
        ]
    )


@registry.command(APP, 0x41, 2)
def get_channel_access(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.23: always available, limited to the server's highest role."""
    return bytes([0x02, bmc.max_privilege])


@registry.command(APP, 0x42, 2)
def get_channel_info(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.24: channel 1 is an 802.3 LAN, multi-session."""
    if data[0] & 0x0F not in (_LAN_CHANNEL, _THIS_CHANNEL):
        raise registry.Completion(registry.INVALID_FIELD)
    return (
        bytes([_LAN_CHANNEL, 0x04, 0x01, 0x80 | bmc.session_count])
        + b'\xf2\x1b\x00\x00\x00'
    )


@registry.command(APP, 0x44, 3)
def get_user_access(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.27: one user, number 2; number 1 is the null user, disabled."""
    access = 0x30 | bmc.max_privilege if data[1] & 0x3F == _USER_ID else 0x0F
    return bytes([_USER_ID, 1, 1, access])


@registry.command(APP, 0x46, 3)
def get_user_name(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.29."""
    name: str = bmc.settings.username if data[0] & 0x3F == _USER_ID else ''
    return name.encode()[:16].ljust(16, b'\x00')


@registry.command(APP, 0x48, 2)
def activate_payload(bmc: Any, session: Any, data: bytes) -> bytes:
    """24.1: serial over LAN, one session at a time."""
    if data[0] & 0x3F != _SOL or bmc.chassis.serial_path is None:
        raise registry.Completion(0x81)
    if bmc.sol.is_active:
        raise registry.Completion(0x80)
    bmc.sol.activate(session)
    size = 4 + 200
    return bytes(4) + struct.pack('<HHHH', size, size, bmc.port, 0xFFFF)


@registry.command(APP, 0x49, 2)
def deactivate_payload(bmc: Any, session: Any, data: bytes) -> bytes:
    """24.2: any session may end it, as an operator needs who was cut off."""
    if not bmc.sol.is_active:
        raise registry.Completion(0x80)
    bmc.sol.deactivate()
    return b''


@registry.command(APP, 0x4A, 2)
def get_payload_status(bmc: Any, session: Any, data: bytes) -> bytes:
    """24.4: capacity one, and whether it is in use."""
    return bytes([1, 1 if bmc.sol.is_active else 0, 0])


@registry.command(APP, 0x4B, 2)
def get_payload_instance(bmc: Any, session: Any, data: bytes) -> bytes:
    """24.5: session id of the instance, 0 where it is free."""
    return bytes(12)


@registry.command(APP, 0x4D, 2)
def get_user_payload_access(bmc: Any, session: Any, data: bytes) -> bytes:
    """24.7: serial over LAN is open to the user."""
    return b'\x02\x00\x00\x00'


@registry.command(APP, 0x4E, 2)
def get_payload_support(bmc: Any, session: Any, data: bytes) -> bytes:
    """24.8: IPMI messages, serial over LAN, and the login's payloads."""
    return b'\x03\x00\x3f\x00' + bytes(4)


@registry.command(APP, 0x54, 0)
def get_channel_cipher_suites(bmc: Any, session: Any, data: bytes) -> bytes:
    """22.15: standard suite records (0xC0), sixteen bytes at a time."""
    records = b''
    for number in sorted(bmc.settings.cipher_suites):
        suite = sessions.SUITES[number]
        records += bytes(
            [
                0xC0,
                number,
                suite.authentication,
                0x40 | suite.integrity,
                0x80 | suite.confidentiality,
            ]
        )
    start = (data[2] & 0x3F) * 16
    return bytes([_LAN_CHANNEL]) + records[start : start + 16]
