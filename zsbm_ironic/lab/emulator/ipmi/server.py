# SPDX-License-Identifier: Apache-2.0
"""The IPMI side of an emulated BMC.

Built on pyghmi's `Bmc` class with a loop of its own (`wire`), so that several
of them, and pyghmi clients too, live in one process. Sessions are found by the
id that we gave out, never by the client's port: one client port may hold
several.
"""

import dataclasses
import logging
import struct
from typing import Any

from pyghmi.ipmi import bmc as pyghmi_bmc

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import faults as faults_room
from zsbm_ironic.lab.emulator.ipmi import registry, sol
from zsbm_ironic.lab.emulator.ipmi import session as sessions
from zsbm_ironic.lab.emulator.ipmi import wire as wires

LOG = logging.getLogger(__name__)

_RMCP_IPMI, _RMCP_ASF = 0x07, 0x06
_ASF_PING, _ASF_PONG = 0x80, 0x40


@dataclasses.dataclass(frozen=True)
class IpmiSettings:
    """How a BMC answers IPMI.

    :ivar port: UDP port; 0 lets the kernel choose.
    :ivar cipher_suites: what it speaks, best first.
    :ivar kg: BMC key of two-key login, empty for none.
    :ivar max_privilege: highest role of the user: 2 user, 3 operator,
        4 administrator.
    """

    address: str = '127.0.0.1'
    port: int = 0
    username: str = 'admin'
    password: str = 'password'  # noqa: S105 - what factories set
    cipher_suites: tuple[int, ...] = (17, 3)
    kg: str = ''
    max_privilege: int = 4


class Bmc(pyghmi_bmc.Bmc):
    """Serves one chassis until `stop`."""

    def __init__(
        self,
        chassis: chassis_room.Chassis,
        settings: IpmiSettings,
        faults: faults_room.Faults,
        wire: wires.Wire | None = None,
    ) -> None:
        """Serve.

        :param wire: of a fleet; None: one of its own.
        """
        # The base class would bind through pyghmi's process-wide pool.
        self.chassis = chassis
        self.settings = settings
        self.faults = faults
        self.guid = chassis.asset.uuid.bytes_le
        self.state = registry.State()
        self._sessions: dict[bytes, sessions.Session] = {}
        self._own = wire is None
        self.wire = wire or wires.Wire(settings.address, settings.port)
        self.port = self.wire.port
        self.sol = sol.Console(chassis, self.wire.selector)
        self._source = self.wire.attach(settings.address, self)

    def stop(self) -> None:
        """Stop serving; the wire of a fleet goes on."""
        if self._own:
            self.wire.stop()
        self.sol.close()

    def restart(self, seconds: float) -> None:
        """Forget every session and be silent for a while."""
        self.faults.silence(seconds)
        self.wire.call(self._forget_all)

    @property
    def session_count(self) -> int:
        """How many sessions are open."""
        return sum(
            1 for one in list(self._sessions.values()) if one.established
        )

    # What sessions ask of their BMC.

    @property
    def max_privilege(self) -> int:
        """Highest role that a session may have."""
        return self.settings.max_privilege

    @property
    def session_key(self) -> bytes | None:
        """Key of two-key login, None where the password serves."""
        return self.settings.kg.encode() or None

    def password_of(self, name: str) -> bytes | None:
        """Return the password of a user, None where there is no such user."""
        if name != self.settings.username:
            return None
        if self.faults.wrong_password:
            return b'not ' + self.settings.password.encode()
        return self.settings.password.encode()

    def forget(self, session: sessions.Session) -> None:
        """Free the slot of a session."""
        self._sessions.pop(session.local_id, None)
        self.sol.leave(session)

    def transmit(self, packet: bytes, client: Any) -> None:
        """Send a packet, late if that is the fault of the day."""
        self.wire.send(packet, client, self._source, self.faults.delay_s)

    def answer(
        self, session: sessions.Session, netfn: int, command: int, data: bytes
    ) -> tuple[int, bytes]:
        """Run one command; return completion code and data."""
        handler = registry.COMMANDS.get((netfn, command))
        if handler is None:
            LOG.debug('No command %#x %#x', netfn, command)
            return registry.INVALID_COMMAND, b''
        if session.privilege < handler.privilege:
            return registry.PRIVILEGE_TOO_LOW, b''
        try:
            return 0, handler.run(self, session, data)
        except registry.Completion as exc:
            return exc.code, b''
        except IndexError:
            return registry.LENGTH_INVALID, b''

    def after_answer(
        self, session: sessions.Session, netfn: int, command: int
    ) -> None:
        """Do what may only happen once the client has its answer."""
        if (netfn, command) == registry.CLOSE_SESSION:
            self.forget(session)

    # What the wire calls.

    @property
    def is_busy(self) -> bool:
        """Whether somebody looks at the serial port."""
        return self.sol.is_active

    def turn(self, now: float) -> None:
        """Forget clients that went away, and flags that nobody used."""
        self._expire()
        self.sol.tick(now)
        self.state.tick(self, now)

    def _expire(self) -> None:
        """Free the slots of clients that went away without a word."""
        for one in list(self._sessions.values()):
            if one.is_expired:
                self.forget(one)

    def _forget_all(self) -> None:
        for one in list(self._sessions.values()):
            self.forget(one)

    def receive(self, data: bytes, client: Any) -> None:
        """Take a packet, or lose it if that is the fault of the day."""
        if self.faults.loses_packet() or len(data) < 4:
            return
        kind = data[3] & 0x0F
        if kind == _RMCP_ASF:
            self._pong(data, client)
        elif kind == _RMCP_IPMI and len(data) > 15:
            if data[4] == 6:
                self._rmcp_plus(data, client)
            elif data[4] == 0:
                self._sessionless(data[14 : 14 + data[13]], client, False)

    def _pong(self, data: bytes, client: Any) -> None:
        """Answer an ASF presence ping (13.2.3)."""
        if len(data) >= 12 and data[8] == _ASF_PING:
            self.transmit(
                b'\x06\x00\xff\x06\x00\x00\x11\xbe'
                + bytes([_ASF_PONG, data[9], 0, 16])
                + b'\x00\x00\x11\xbe\x00\x00\x00\x00\x81\x00'
                + bytes(6),
                client,
            )

    def _rmcp_plus(self, data: bytes, client: Any) -> None:
        kind = data[5] & 0x3F
        payload = data[16 : 16 + struct.unpack('<H', data[14:16])[0]]
        if kind == sessions.OPEN_REQUEST:
            self._open(payload, client)
        elif kind in (sessions.RAKP1, sessions.RAKP3):
            session = self._sessions.get(payload[4:8])
            if session is None:
                self._no_session(kind, payload, client)
            elif kind == sessions.RAKP1:
                session.rakp1(payload)
            else:
                session.rakp3(payload)
        elif data[6:10] == bytes(4):
            self._sessionless(payload, client, True)
        else:
            session = self._sessions.get(data[6:10])
            if session is not None:
                session.packet(bytearray(data))

    def _open(self, request: bytes, client: Any) -> None:
        session = sessions.Session(self, client, request)
        if len(self._sessions) >= sessions.MAX_SESSIONS:
            session.send_plain(
                sessions.OPEN_RESPONSE,
                bytes([request[0], sessions.STATUS_NO_RESOURCES, 0, 0])
                + request[4:8],
            )
        elif session.open(request, self.settings.cipher_suites):
            self._sessions[session.local_id] = session

    def _no_session(self, kind: int, payload: bytes, client: Any) -> None:
        """Refuse a handshake that goes on with a session we do not have."""
        session = sessions.Session(self, client, bytes(8))
        session.send_plain(
            kind + 1,
            bytes([payload[0], sessions.STATUS_INVALID_SESSION, 0, 0])
            + bytes(4),
        )

    def _sessionless(
        self, message: bytes, client: Any, is_rmcp_plus: bool
    ) -> None:
        """Answer a command that needs no session (table 6-10, "b")."""
        if len(message) < 7:
            return
        netfn, command = message[1] >> 2, message[5]
        handler = registry.COMMANDS.get((netfn, command))
        if handler is None or handler.privilege:
            return
        try:
            body = b'\x00' + handler.run(self, None, message[6:-1])
        except registry.Completion as exc:
            body = bytes([exc.code])
        head = bytes([message[3], (netfn + 1) << 2])
        tail = bytes([message[0], message[4], command]) + body
        answer = head + _checksum(head) + tail + _checksum(tail)
        if is_rmcp_plus:
            wrapper = b'\x06\x00' + bytes(8) + struct.pack('<H', len(answer))
        else:
            wrapper = bytes(9) + bytes([len(answer)])
        self.transmit(b'\x06\x00\xff\x07' + wrapper + answer, client)


def _checksum(data: bytes) -> bytes:
    """Two's complement sum of 13.8."""
    return bytes([-sum(data) & 0xFF])
