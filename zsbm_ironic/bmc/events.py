# SPDX-License-Identifier: Apache-2.0
"""BMCs that tell by themselves that something happened (Redfish events).

A BMC that offers server-sent events (DSP0266, 13.5) keeps a connection open
and sends a line when its state changes. What the line says is not read: it is
the reason to ask now instead of at the next turn, so that a BMC that lies, or
words it in its own way, can do no harm. All streams are heard by one thread;
one that ends is opened again after a while. Called by `watch` alone.
"""

import asyncio
import base64
import concurrent.futures
import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Collection

from oslo_log import log

from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.bmc import trust
from zsbm_ironic.common import exception

LOG = log.getLogger(__name__)

OPEN_S = 10.0
HEAD_BYTES = 16384
READ_BYTES = 16384
READ_GAP_S = 0.1
CLOSE_S = 2.0
# How long after its end a stream is opened again: twice as long each time,
# unless it lasted longer than a minute.
REST_MIN_S = 30.0
REST_MAX_S = 3600.0
LASTED_S = 60.0
# A peer that is gone is noticed after a minute.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
_MARK = b'data:'


@dataclasses.dataclass(frozen=True)
class Stream:
    """Where events of one BMC are read.

    :ivar path: on the BMC, as its event service names it.
    :ivar token: of a session; None asks with user and password.
    """

    credentials: bmc_credentials.Credentials
    path: str
    token: str | None = dataclasses.field(default=None, repr=False)

    def request(self) -> bytes:
        """Return the question that opens it."""
        if self.token is not None:
            login = f'X-Auth-Token: {self.token}'
        else:
            pair = f'{self.credentials.username}:{self.credentials.password}'
            encoded = base64.b64encode(pair.encode()).decode()
            login = f'Authorization: Basic {encoded}'
        address = self.credentials.address
        host = f'[{address}]' if ':' in address else address
        lines = (
            f'GET {self.path} HTTP/1.1',
            f'Host: {host}:{self.credentials.redfish.port}',
            'Accept: text/event-stream',
            'OData-Version: 4.0',
            login,
        )
        return ('\r\n'.join(lines) + '\r\n\r\n').encode()


@dataclasses.dataclass
class _Heard:
    """One BMC: who listens to it, and from when on that may be tried."""

    stream: Stream
    work: 'concurrent.futures.Future[None] | None' = None
    rest_s: float = 0.0
    due: float = 0.0

    @property
    def is_heard(self) -> bool:
        return self.work is not None and not self.work.done()

    def cancel(self) -> None:
        if self.work is not None:
            self.work.cancel()


class Listener:
    """Listens until `close`.

    :param heard: called with the owner, in a thread of ours, at each event
        and when a stream has been opened; must not wait.
    """

    def __init__(self, heard: Callable[[str], None]) -> None:
        """Start no thread yet."""
        self._heard = heard
        self._guard = threading.Lock()
        self._all: dict[str, _Heard] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Count the streams that are open, or being opened."""
        with self._guard:
            return sum(one.is_heard for one in self._all.values())

    def hear(self, owner: str, stream: Stream) -> None:
        """Have a stream heard, unless it is or its time has not come."""
        with self._guard:
            one = self._all.get(owner)
            if one and one.stream.credentials != stream.credentials:
                one.cancel()
                one = None
            if one is None:
                one = self._all[owner] = _Heard(stream)
            if one.is_heard or time.monotonic() < one.due:
                return
            one.stream = stream
            one.work = asyncio.run_coroutine_threadsafe(
                self._listen(owner, one), self._running()
            )

    def keep_only(self, owners: Collection[str]) -> None:
        """Stop hearing all others."""
        with self._guard:
            for owner in self._all.keys() - set(owners):
                self._all.pop(owner).cancel()

    def close(self) -> None:
        """Close all streams and end the thread."""
        self.keep_only(())
        with self._guard:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(CLOSE_S)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=_run,
                args=(self._loop,),
                name='zsbm-events',
                daemon=True,
            )
            self._thread.start()
        return self._loop

    async def _listen(self, owner: str, one: _Heard) -> None:
        address = one.stream.credentials.address
        began = time.monotonic()
        try:
            await self._follow(owner, one.stream)
            LOG.debug('BMC %s ended its events.', address)
        except (OSError, asyncio.IncompleteReadError, ValueError) as exc:
            LOG.debug('BMC %s sends no events: %r', address, exc)
        except (asyncio.LimitOverrunError, exception.ZsbmError) as exc:
            LOG.info('BMC %s sends no events: %s', address, exc)
        finally:
            now = time.monotonic()
            before_s = 0.0 if now - began > LASTED_S else one.rest_s
            one.rest_s = min(REST_MAX_S, max(REST_MIN_S, 2 * before_s))
            one.due = now + one.rest_s

    async def _follow(self, owner: str, stream: Stream) -> None:
        reader, writer = await asyncio.wait_for(_open(stream), OPEN_S)
        try:
            # What happened before nobody has heard.
            self._heard(owner)
            rest = b''
            while found := await reader.read(READ_BYTES):
                if _MARK in rest + found:
                    self._heard(owner)
                    rest = b''
                else:
                    rest = (rest + found)[1 - len(_MARK) :]
                # One that floods us is read no faster than this.
                await asyncio.sleep(READ_GAP_S)
        finally:
            writer.transport.abort()


async def _open(
    stream: Stream,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, see whom to, and ask.

    :raises OSError: no connection, or another certificate.
    :raises ValueError: it is refused.
    """
    credentials = stream.credentials
    redfish = credentials.redfish
    tls = redfish.scheme == 'https'
    reader, writer = await asyncio.open_connection(
        credentials.address,
        redfish.port,
        limit=HEAD_BYTES,
        ssl=trust.context(credentials.trust) if tls else None,
    )
    try:
        plain = writer.get_extra_info('socket')
        for level, option, value in _KEEP_ALIVE:
            plain.setsockopt(level, option, value)
        if tls:
            der = writer.get_extra_info('ssl_object').getpeercert(True)
            trust.require_pinned(
                f'{credentials.address}:{redfish.port}',
                trust.Certificate.from_der(der or b''),
                credentials.trust,
            )
        writer.write(stream.request())
        await writer.drain()
        head = await reader.readuntil(b'\r\n\r\n')
        status = head.split(b'\r\n', 1)[0].split(b' ')[1:2]
        if status != [b'200'] or b'text/event-stream' not in head.lower():
            raise ValueError(ascii(head[:64]))
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for one in left:
            one.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
