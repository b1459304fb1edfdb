# SPDX-License-Identifier: Apache-2.0
"""Serial over LAN: one session's window on the machine's serial port.

Packets as in section 15 of the IPMI specification. The serial port is a unix
socket of QEMU that comes and goes with the machine: while it is off the
console stays open and shows nothing, as on metal.
"""

import selectors
import socket
import time
from typing import Any

from zsbm_ironic.lab.emulator import chassis as chassis_room

#: Characters in one packet, both ways: fits any client's buffer.
MAX_CHARACTERS = 200

#: 15.3: unanswered packets are sent again, then the session is given up.
_RETRY_S = 0.5
_MAX_TRIES = 14
_CONNECT_EVERY_S = 0.5

_NACK, _BREAK, _DEACTIVATED = 0x40, 0x10, 0x10

#: What is kept for a slow client; older output is in the serial log.
_MAX_PENDING_BYTES = 64 * 1024


class Console:
    """At most one active payload; all calls are made by the server's loop."""

    tick_s = 0.05

    def __init__(
        self,
        chassis: chassis_room.Chassis,
        selector: selectors.BaseSelector,
    ) -> None:
        self._chassis = chassis
        self._selector = selector
        self._session: Any = None
        self._serial: socket.socket | None = None
        self._reset()

    def _reset(self) -> None:
        self._pending = bytearray()
        self._flight = b''
        self._tries = 0
        self._sent_at = 0.0
        self._connect_at = 0.0
        self._own_sequence = 0
        self._peer_sequence = 0

    @property
    def is_active(self) -> bool:
        """Whether some session has the console."""
        return self._session is not None

    def activate(self, session: Any) -> None:
        """Give the console to a session; the caller saw that it is free."""
        self._reset()
        self._session = session
        session.sol_handler = self._packet

    def deactivate(self) -> None:
        """Take it away from whoever has it, and say so to that client."""
        if self._session is not None:
            self._session.send_sol(bytes([0, 0, 0, _DEACTIVATED]))
        self._end()

    def leave(self, session: Any) -> None:
        """Forget a session that is gone."""
        if session is self._session:
            self._end()

    def close(self) -> None:
        """Let go of the serial port."""
        self._end()

    def tick(self, now: float) -> None:
        """Connect, send what waits, send again what was not answered."""
        if self._session is None:
            return
        if self._serial is None and now >= self._connect_at:
            self._connect_at = now + _CONNECT_EVERY_S
            self._connect()
        if self._flight and now - self._sent_at > _RETRY_S:
            self._tries += 1
            if self._tries > _MAX_TRIES:
                self._end()
                return
            self._sent_at = now
            self._session.send_sol(self._flight)
        self._send_next()

    def _end(self) -> None:
        if self._session is not None:
            self._session.sol_handler = None
            self._session = None
        self._hang_up()

    def _connect(self) -> None:
        path = self._chassis.serial_path
        if path is None:
            return
        serial = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        serial.setblocking(False)
        try:
            serial.connect(path)
        except OSError:
            serial.close()
            return
        self._serial = serial
        self._selector.register(serial, selectors.EVENT_READ, self._output)

    def _hang_up(self) -> None:
        if self._serial is not None:
            self._selector.unregister(self._serial)
            self._serial.close()
            self._serial = None

    def _output(self) -> None:
        """Take what the machine printed."""
        if self._serial is None:
            return
        try:
            data = self._serial.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        if not data:
            self._hang_up()
            return
        self._pending += data
        del self._pending[:-_MAX_PENDING_BYTES]
        self._send_next()

    def _send_next(self) -> None:
        if self._flight or not self._pending or self._session is None:
            return
        text = bytes(self._pending[:MAX_CHARACTERS])
        del self._pending[:MAX_CHARACTERS]
        self._own_sequence = self._own_sequence % 15 + 1
        self._flight = bytes([self._own_sequence, 0, 0, 0]) + text
        self._tries = 0
        self._sent_at = time.monotonic()
        self._session.send_sol(self._flight)

    def _packet(self, payload: bytes) -> None:
        """Take one packet of the client: its keys, or its answer to ours."""
        if len(payload) < 4 or self._session is None:
            return
        self._session.last_seen = time.monotonic()
        sequence, acked, count = payload[0] & 15, payload[1] & 15, payload[2]
        if acked and self._flight and acked == self._own_sequence:
            rest = self._flight[4 + count :]
            self._flight = b''
            if rest:
                # Taken in part: what is left goes out under a new number.
                self._pending[:0] = rest
        if sequence:
            self._keys(sequence, bytes(payload[4:]))
        self._send_next()

    def _keys(self, sequence: int, text: bytes) -> None:
        taken = len(text)
        if sequence != self._peer_sequence:
            if self._serial is not None and text:
                try:
                    taken = self._serial.send(text)
                except BlockingIOError:
                    taken = 0
                except OSError:
                    self._hang_up()
            self._peer_sequence = sequence
        flags = _NACK if taken < len(text) else 0
        self._session.send_sol(bytes([0, sequence, taken, flags]))
