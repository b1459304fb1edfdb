# SPDX-License-Identifier: Apache-2.0
"""One IPMI v2.0 session: pyghmi's state machine on a socket of our own.

pyghmi knows framing, RAKP and the vendors' habits. Its transport is one
thread and a few sockets for the whole process, where a wake-up can be lost, a
file descriptor above 1023 stops every caller, a dead BMC blocks for half a
minute and one BMC's malformed packet surfaces in another caller's thread.
`RmcpSession` is a subclass (nothing is patched) that keeps the state machine
and does its own waiting: one connected UDP socket, poll(2), a deadline for
every call, answers that cannot be parsed dropped. Used by `bmc.ipmi` only, one
thread at a time; a socket lives as long as its session.
"""

import contextlib
import hashlib
import math
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

from oslo_log import log
from pyghmi import exceptions as pyghmi_exc
from pyghmi.ipmi.private import constants, session

from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception

LOG = log.getLogger(__name__)

LOGIN_S = 15.0
COMMAND_S = 8.0
# Times to wait before a packet is sent again: three round trips, within these.
RESEND_MIN_S = 0.3
RESEND_MAX_S = 3.0
PACKET_BYTES = 3000
# That are taken at a time: a BMC that sends without end keeps nobody else.
PACKETS = 64

# IPMI v2.0 table 13-17 and 13-18: (authentication, integrity, encryption) of
# the two cipher suites that are still worth speaking.
_SUITES: dict[tuple[int, int, int], int] = {(1, 1, 1): 3, (3, 4, 1): 17}
_HASHES: dict[int, tuple[int, Callable[..., Any], int]] = {
    3: (1, hashlib.sha1, 12),
    17: (256, hashlib.sha256, 16),
}


class RmcpSession(session.Session):
    """A session with one BMC, logged in when the constructor returns."""

    socket: Any
    seqlun: int

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Make a new object each time: upstream shares them by address."""
        new = object.__new__(cls)
        new.forbidsock = []
        return new

    def __init__(
        self,
        credentials: bmc_credentials.Credentials,
        login_s: float = LOGIN_S,
    ) -> None:
        """Log in.

        :param login_s: seconds after which a silent BMC is given up.
        :raises BmcUnreachable: silence.
        :raises BmcCredentialsRefused: user or password is wrong.
        :raises BmcUnsupported: no IPMI v2.0, or no usable cipher suite.
        """
        self.settings = credentials.ipmi
        self.credentials = credentials
        self.cipher_suite: int | None = None
        self.answered = False
        self.lost = False
        self._until = math.inf
        self.expiration = 0.0
        self._resend_s = 2 * RESEND_MIN_S
        self._sent_at = 0.0
        self._poller = select.poll()
        self._login_answer: dict[str, Any] = {}
        try:
            super().__init__(
                credentials.address,
                # Bytes: with text, a second login after a logout fails.
                credentials.username.encode(),
                credentials.password.encode(),
                port=self.settings.port,
                kg=self.settings.kg,
                onlogon=self._login_answer.update,
                privlevel=(
                    self.settings.privilege
                    if self.settings.privilege_set
                    else None
                ),
            )
            self._wait_until(lambda: not self.logging, login_s)
            if not self.logged:
                raise self._login_error(login_s)
        except pyghmi_exc.IpmiException as exc:
            self.abandon()
            raise self._login_error(login_s) from exc
        except BaseException:
            self.abandon()
            raise

    # What pyghmi's state machine calls to send and to wait.

    def _assignsocket(self, server: Any = None, forbiddensockets: Any = ()):  # type: ignore[no-untyped-def]
        try:
            family, kind, proto, _name, where = socket.getaddrinfo(
                self.bmc, self.port, type=socket.SOCK_DGRAM
            )[0]
            sock = socket.socket(family, kind, proto)
            sock.setblocking(False)
            self._poller.register(sock, select.POLLIN)
            self._target = where
            sock.connect(where)
        except OSError as exc:
            raise exception.BmcUnreachable(
                address=self.bmc,
                what=f'IPMI ({exc.strerror})',
                timeout_s=0,
                key=f'{self.credentials.source}_address',
            ) from exc
        return sock

    def _initsession(self) -> None:
        super()._initsession()
        self.sockaddr = self._target
        # Upstream's first session id is a constant; a BMC that still holds
        # the session of an earlier process would mix them up.
        self.localsid = random.randrange(1, 2**31)  # noqa: S311 - no secret
        self.attemptedhash = 1 if self.settings.cipher_suite == 3 else 256

    def _xmit_packet(
        self, retry: bool = True, delay_xmit: Any = None, timeout: Any = None
    ) -> None:
        if self.sequencenumber:
            self.sequencenumber += 1
        try:
            self._open_socket().send(self.netpacket)
        except OSError as exc:
            # Refused, unreachable, no buffer: all mean that it is lost.
            LOG.debug('BMC %s: packet not sent: %s', self.bmc, exc)
        self._sent_at = time.monotonic()
        self.expiration = self._sent_at + self._resend_s

    def _cmdwait(self) -> None:
        """Do nothing: a session belongs to one thread at a time."""

    def awaitresponse(self, retry: bool, netfn: int, command: int) -> None:
        """Wait for the answer to the command that was just sent."""
        left_s = min(COMMAND_S, self._until - time.monotonic())
        self._wait_until(
            lambda: not session.unmatched(self.lastresponse, netfn, command),
            left_s,
            resend=bool(retry),
        )
        if retry and session.unmatched(self.lastresponse, netfn, command):
            self.lost = True

    def _timedout(self) -> None:
        """Send again what was lost, without moving backwards in the login."""
        self._resend_s = min(1.5 * self._resend_s, RESEND_MAX_S)
        if self.sessioncontext in (
            'OPENSESSION',
            'EXPECTINGRAKP2',
            'EXPECTINGRAKP4',
        ):
            # A BMC does not take RAKP 1 or 3 twice: open another session.
            self.lastpayload = None
            self.rmcptag &= 0x7F  # one byte; upstream lets it run over
            self._open_rmcpplus_request()
        elif self.lastpayload:
            self.send_payload()
        else:
            self.expiration = time.monotonic() + self._resend_s

    def _req_priv_level(self) -> None:
        super()._req_priv_level()
        # The registry makes any thread that uses pyghmi log us out.
        session.Session.keepalive_sessions.pop(self, None)

    def _mark_broken(self, error: str | None = None) -> None:
        self.errormsg = error
        self.logging = False
        self.logged = 0
        self.broken = True
        self.lastpayload = None

    def onlogon(self, parameter: dict[str, Any]) -> None:
        """Keep the outcome of the login for the constructor."""
        self._login_answer.update(parameter)
        if 'error' in parameter:
            self._mark_broken(parameter['error'])

    # Where pyghmi believes the BMC too easily.

    def _got_channel_auth_cap(self, response: dict[str, Any]) -> None:
        data = response.get('data') or b''
        # IPMI v2.0 table 22-15: bit 7 of byte 2 and bit 1 of byte 4.
        if len(data) < 4 or not (data[1] & 0x80 and data[3] & 0x02):
            raise exception.BmcUnsupported(
                address=self.bmc,
                what='IPMI v2.0',
                answer='it offers v1.5 only; keep type ipmi for this node',
            )
        self.lastpayload = None
        super()._got_channel_auth_cap(response)

    def _got_rmcp_response(self, data: bytearray) -> Any:
        """Take the cipher suite that the BMC names in its answer.

        IPMI v2.0 table 13-10: bytes 16, 24 and 32 are the algorithms that
        the BMC chose. Upstream assumes the ones that it asked for and fails
        in RAKP 2 when a BMC answers a request for SHA-256 with SHA-1.
        """
        ours = (
            self.sessioncontext == 'OPENSESSION'
            and len(data) > 1
            and data[0] == self.rmcptag
        )
        if ours and data[1] == 0:
            if len(data) < 36:
                return None
            chosen = (data[16] & 63, data[24] & 63, data[32] & 63)
            suite = _SUITES.get(chosen)
            wanted = self.settings.cipher_suite
            if suite is None or (wanted is not None and suite != wanted):
                raise exception.BmcUnsupported(
                    address=self.bmc,
                    what=f'cipher suite {wanted or "3 or 17"}',
                    answer=f'it chose algorithms {chosen}',
                )
            self.cipher_suite = suite
            self.attemptedhash, self.currhashlib, self.currhashlen = _HASHES[
                suite
            ]
        elif ours and self.settings.cipher_suite is not None:
            # An explicit suite is not weakened when the BMC declines it.
            self.attemptedhash = 1
        return super()._got_rmcp_response(data)

    # Waiting.

    def _wait_until(
        self, done: Callable[[], bool], limit_s: float, resend: bool = True
    ) -> None:
        """Handle packets and resends until `done` or the time is up."""
        deadline = time.monotonic() + limit_s
        while not done() and not self.broken:
            now = time.monotonic()
            if now >= deadline:
                return
            if self.expiration <= now:
                if resend:
                    self._timedout()
                else:
                    self.expiration = deadline
                continue
            wait_s = min(deadline, self.expiration) - now
            if self._poller.poll(max(1, round(1000 * wait_s))):
                for packet in self._received():
                    self._handle(packet)

    def _open_socket(self) -> Any:
        if self.socket is None:
            raise self.silence(0)
        return self.socket

    def _received(self) -> Iterator[bytearray]:
        for _ in range(PACKETS):
            try:
                packet = bytearray(self._open_socket().recv(PACKET_BYTES))
            except BlockingIOError:
                return
            except OSError as exc:
                LOG.debug('BMC %s: %s', self.bmc, exc)
                return
            if len(packet) > 15 and packet[0] == 6 and packet[3] == 7:
                yield packet

    def _handle(self, packet: bytearray) -> None:
        sent_at, self.answered = self._sent_at, True
        self._resend_s = max(
            RESEND_MIN_S,
            min(3 * (time.monotonic() - sent_at), RESEND_MAX_S),
        )
        try:
            self._handle_ipmi_packet(
                packet, self.sockaddr, (packet, self.sockaddr, self.socket)
            )
        except (struct.error, IndexError, ValueError, KeyError) as exc:
            LOG.warning(
                'BMC %s sent a packet that cannot be parsed (%s): dropped.',
                self.bmc,
                exc,
            )

    # What `bmc.ipmi` and `bmc.together` call.

    def raw_command(self, *args: Any, **kwargs: Any) -> Any:
        """Send a command as upstream does, with nothing left of the last."""
        self._forget_unanswered()
        return super().raw_command(*args, **kwargs)

    def _forget_unanswered(self) -> None:
        """Give up what was not answered in time.

        Its late answer would be taken for that of the next command: the
        number of the next is another one.
        """
        self.lastpayload = None
        self.pendingpayloads.clear()
        if self.request_entry:
            self.request_entry.clear()
            self.seqlun = (self.seqlun + 1) & 0x3F

    def begin(self, netfn: int, command: int) -> None:
        """Send a command that may be sent again, and return at once."""
        self._forget_unanswered()
        self._heard: tuple[int, bytes] | None = None
        self.ipmicallback = self._keep
        self._send_ipmi_net_payload(netfn, command, retry=True)

    def _keep(self, response: dict[str, Any]) -> None:
        self._heard = response['code'], bytes(response['data'])

    def hear(self) -> tuple[int, bytes] | None:
        """Take what has come; completion code and data once they are there."""
        for packet in self._received():
            self._handle(packet)
            if self._heard is not None:
                break
        return self._heard

    def send_again(self, now: float) -> None:
        """Send again what `begin` sent, where it is time to."""
        if self.expiration <= now:
            self._timedout()

    def request(
        self,
        netfn: int,
        command: int,
        data: tuple[int, ...] = (),
        *,
        resend: bool = True,
    ) -> tuple[int, bytes]:
        """Send a command and return completion code and data.

        :param resend: False for what must not happen twice.
        :raises BmcUnreachable: no answer within COMMAND_S seconds.
        """
        self.incommand = False
        try:
            answer = self.raw_command(netfn, command, data=data, retry=resend)
        except pyghmi_exc.IpmiException as exc:
            raise self.silence(COMMAND_S) from exc
        if answer is None:
            raise self.silence(COMMAND_S)
        return answer['code'], bytes(answer['data'])

    @contextlib.contextmanager
    def within(self, limit_s: float) -> Iterator[None]:
        """Let all commands inside together take no more than `limit_s`."""
        self._until = time.monotonic() + limit_s
        try:
            yield
        finally:
            self._until = math.inf

    def silence(self, timeout_s: float) -> exception.BmcUnreachable:
        """Return the error for a BMC that does not answer."""
        return exception.BmcUnreachable(
            address=self.bmc,
            what=f'IPMI on UDP port {self.port}',
            timeout_s=round(timeout_s),
            key=f'{self.credentials.source}_address',
        )

    def _login_error(self, login_s: float) -> exception.ZsbmError:
        answer = self._login_answer.get('error')
        source = self.credentials.source
        silent = not self.answered or self.sessioncontext == 'ESTABLISHED'
        if answer is None and silent:
            return self.silence(login_s)
        if answer is None:
            # Several BMCs say nothing at all to a user they do not know.
            answer = 'no answer to the login of this user'
        if 'resources' in answer.lower():
            return exception.BmcBusy(address=self.bmc, answer=answer)
        return exception.BmcCredentialsRefused(
            address=self.bmc,
            username=self.credentials.username,
            answer=answer,
            keys=f'{source}_username and {source}_password',
        )

    def logout(self, sessionok: bool = True) -> dict[str, bool]:
        """Free the BMC's slot without waiting for its answer; idempotent."""
        if self.logged and not self.broken:
            # Close Session, IPMI v2.0 section 22.19.
            self.lastpayload = None
            self._send_ipmi_net_payload(
                6,
                0x3C,
                tuple(struct.pack('<I', self.pendingsessionid)),
                retry=False,
            )
        self.abandon()
        return {'success': True}

    def abandon(self) -> None:
        """Close the socket and tell the BMC nothing."""
        self.logged = 0
        self.logging = False
        self.broken = True
        if getattr(self, 'socket', None) is not None:
            self.socket.close()
            self.socket = None


def completion_text(netfn: int, command: int, code: int) -> str:
    """Return a completion code in words, as pyghmi's tables have it."""
    words = constants.command_completion_codes.get((netfn + 1, command), {})
    text = words.get(code) or constants.ipmi_completion_codes.get(code)
    return f'{text or "unknown"} (completion code 0x{code:02x})'
