# SPDX-License-Identifier: Apache-2.0
"""One RMCP+ session: the handshake for cipher suites 3 and 17.

pyghmi's `ServerSession` frames, signs and encrypts packets and takes them
apart again. Its handshake knows SHA-1 only and never ends a session, and its
constructor enters process-wide tables that a pyghmi client in the same
process reads too: all three are replaced here. Numbers of tables are those
of the IPMI v2.0 specification, revision 1.1.
"""

import collections
import dataclasses
import hashlib
import hmac
import os
import struct
import time
from collections.abc import Callable
from typing import Any, Self

from pyghmi.ipmi.private import serversession

#: Payload types, table 13-16.
OPEN_REQUEST, OPEN_RESPONSE = 0x10, 0x11
RAKP1, RAKP2, RAKP3, RAKP4 = 0x12, 0x13, 0x14, 0x15

#: RMCP+ status codes, table 13-15.
STATUS_OK = 0x00
STATUS_NO_RESOURCES = 0x01
STATUS_INVALID_SESSION = 0x02
STATUS_ROLE_REFUSED = 0x09
STATUS_NAME_REFUSED = 0x0D
STATUS_INTEGRITY_WRONG = 0x0F
STATUS_NO_SUITE = 0x11

#: "Session inactivity timeout: 60 seconds, +/- 3" (6.12.15); a handshake
#: that nobody goes on with is forgotten sooner, to free its slot.
IDLE_TIMEOUT_S = 60
HANDSHAKE_TIMEOUT_S = 10

#: Real BMCs have four or five slots; a client that leaks finds out here.
MAX_SESSIONS = 5


@dataclasses.dataclass(frozen=True)
class Suite:
    """Algorithms of a cipher suite (tables 13-17 to 13-19, 22-20)."""

    number: int
    authentication: int
    integrity: int
    hash: Callable[..., Any]
    signature_bytes: int
    confidentiality: int = 1


SUITES = {
    3: Suite(3, 1, 1, hashlib.sha1, 12),
    17: Suite(17, 3, 4, hashlib.sha256, 16),
}


def choose_suite(proposal: bytes, allowed: tuple[int, ...]) -> Suite | None:
    """Return the suite that an Open Session request asks for.

    :param proposal: three payloads of eight bytes; length 0 in one of them
        leaves the algorithm to us (13.17).
    :param allowed: suite numbers that this BMC speaks, best first.
    """
    asked = []
    for offset in (0, 8, 16):
        part = proposal[offset : offset + 8]
        if len(part) < 8:
            return None
        asked.append(None if part[3] == 0 else part[4])
    for number in allowed:
        suite = SUITES[number]
        mine = (suite.authentication, suite.integrity, suite.confidentiality)
        if all(
            one in (None, own) for one, own in zip(asked, mine, strict=True)
        ):
            return suite
    return None


class Session(serversession.ServerSession):
    """One client's session, from Open Session request to Close Session."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a new object: the base class counts its arguments."""
        return object.__new__(cls)

    def __init__(
        self, server: Any, client: tuple[Any, ...], request: bytes
    ) -> None:
        # The constructor of the base class is left out on purpose: see the
        # docstring of this module. These are the fields its codec reads.
        self.bmc = server
        self.sockaddr = client
        self.servermode = True
        self.ipmiversion = 2.0
        self.authtype = 6
        self.sequencenumber = 0
        self.integrityalgo = 0
        self.confalgo: int | str = 0
        self.k1: bytes | None = None
        self.rqaddr = 0x20
        self.rqlun = 0
        self.lastpayload = None
        self.last_payload_type = None
        self.remseqnumber: int | None = None
        self.pendingpayloads: collections.deque[Any] = collections.deque()
        self._customkeepalives = None
        self.sol_handler: Callable[[bytes], None] | None = None
        self.ipmicallback = self._request

        self.privilege = 0
        self.established = False
        self.last_seen = time.monotonic()
        self.remote_id: bytes = request[4:8]
        self.local_id: bytes = os.urandom(4)
        self.localsid = struct.unpack('<I', self.local_id)[0]
        self._rc = os.urandom(16)
        self._answered: tuple[Any, int, bytes] | None = None

    def open(self, request: bytes, allowed: tuple[int, ...]) -> bool:
        """Answer an Open Session request; False when it was refused."""
        suite = choose_suite(request[8:32], allowed)
        tag = request[0]
        if suite is None:
            self.send_plain(
                OPEN_RESPONSE,
                bytes([tag, STATUS_NO_SUITE, 0, 0]) + self.remote_id,
            )
            return False
        self._suite = suite
        self.currhashlib = suite.hash
        self.currhashlen = suite.signature_bytes
        algorithms = b''.join(
            bytes([kind, 0, 0, 8, algorithm, 0, 0, 0])
            for kind, algorithm in enumerate(
                (suite.authentication, suite.integrity, suite.confidentiality)
            )
        )
        self.send_plain(
            OPEN_RESPONSE,
            bytes([tag, STATUS_OK, self.bmc.max_privilege, 0])
            + self.remote_id
            + self.local_id
            + algorithms,
        )
        return True

    def rakp1(self, data: bytes) -> None:
        """Answer RAKP message 1: prove that we know the password."""
        tag = data[0]
        self._rm = data[8:24]
        self._role = data[24]
        self._name = data[28 : 28 + data[27]]
        wanted = self._role & 0x0F
        password = self.bmc.password_of(self._name.decode(errors='replace'))
        status = STATUS_OK
        if password is None:
            status = STATUS_NAME_REFUSED
        elif wanted > self.bmc.max_privilege:
            status = STATUS_ROLE_REFUSED
        if password is None or status:
            self.send_plain(RAKP2, bytes([tag, status, 0, 0]) + self.remote_id)
            return
        self._kuid = password
        guid = self.bmc.guid
        code = self._hmac(
            password,
            self.remote_id
            + self.local_id
            + self._rm
            + self._rc
            + guid
            + self._role_and_name(),
        )
        self.send_plain(
            RAKP2,
            bytes([tag, STATUS_OK, 0, 0])
            + self.remote_id
            + self._rc
            + guid
            + code,
        )

    def rakp3(self, data: bytes) -> None:
        """Check RAKP message 3 and, when it is right, open the session."""
        tag, status = data[0], data[1]
        if status != STATUS_OK:
            self.bmc.forget(self)
            return
        expected = self._hmac(
            self._kuid, self._rc + self.remote_id + self._role_and_name()
        )
        if not hmac.compare_digest(expected, bytes(data[8:])):
            self.send_plain(
                RAKP4,
                bytes([tag, STATUS_INTEGRITY_WRONG, 0, 0]) + self.remote_id,
            )
            return
        sik = self._hmac(
            self.bmc.session_key or self._kuid,
            self._rm + self._rc + self._role_and_name(),
        )
        self.k1 = self._hmac(sik, b'\x01' * 20)
        self.aeskey = self._hmac(sik, b'\x02' * 20)[:16]
        check = self._hmac(sik, self._rm + self.local_id + self.bmc.guid)
        # In the clear: the keys count from the message after this one.
        self.send_plain(
            RAKP4,
            bytes([tag, STATUS_OK, 0, 0])
            + self.remote_id
            + check[: self._suite.signature_bytes],
        )
        self.sessionid = struct.unpack('<I', self.remote_id)[0]
        self.confalgo = 'aes'
        self.integrityalgo = self._suite.integrity
        self.sequencenumber = 1
        self.max_privilege = self._role & 0x0F or self.bmc.max_privilege
        self.privilege = min(2, self.max_privilege)
        self.established = True

    @property
    def is_expired(self) -> bool:
        """Whether the client has been silent for too long."""
        limit = IDLE_TIMEOUT_S if self.established else HANDSHAKE_TIMEOUT_S
        return time.monotonic() - self.last_seen > limit

    def packet(self, data: bytearray) -> None:
        """Take a packet of the open session, with integrity checked."""
        if self.established:
            self._handle_ipmi2_packet(data)

    def send_sol(self, payload: bytes) -> None:
        """Send one serial-over-LAN packet."""
        self.send_payload(bytearray(payload), payload_type=1, retry=False)

    def send_plain(self, payload_type: int, payload: bytes) -> None:
        """Send a handshake message: no session, no keys."""
        self.bmc.transmit(
            b'\x06\x00\xff\x07\x06'
            + bytes([payload_type])
            + bytes(8)
            + struct.pack('<H', len(payload))
            + payload,
            self.sockaddr,
        )

    def _request(self, request: dict[str, Any]) -> None:
        """Answer one command; a repeated one gets the same answer again.

        A client that waits for a slow BMC sends its request again: cutting
        the power twice would be one time too many.
        """
        self.last_seen = time.monotonic()
        key = (
            self.seqlun,
            request['netfn'],
            request['command'],
            bytes(request['data']),
        )
        if self._answered is None or self._answered[0] != key:
            code, data = self.bmc.answer(
                self, request['netfn'], request['command'], key[3]
            )
            self._answered = (key, code, data)
        _, code, data = self._answered
        self.send_ipmi_response(data=data, code=code)
        self.bmc.after_answer(self, request['netfn'], request['command'])

    def _xmit_packet(
        self,
        retry: bool = False,
        delay_xmit: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Hand a framed packet to our own socket, not to pyghmi's pool."""
        if self.sequencenumber:
            self.sequencenumber += 1
        self.bmc.transmit(bytes(self.netpacket), self.sockaddr)

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self._suite.hash).digest()

    def _role_and_name(self) -> bytes:
        return bytes([self._role, len(self._name)]) + self._name
