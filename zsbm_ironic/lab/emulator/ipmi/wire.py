# SPDX-License-Identifier: Apache-2.0
"""One UDP socket and one thread for the BMCs behind it, one or a thousand.

Which BMC a packet is for, its destination says: the kernel tells it with each
packet (IP_PKTINFO, ip(7)), and takes the source of an answer the same way. So
a whole network of addresses is one socket.
"""

import heapq
import ipaddress
import logging
import os
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

LOG = logging.getLogger(__name__)

_TICK_S = 0.25
# Each BMC has its turn to forget this often, where there are many of them.
_TURN_S = 2.0
_PACKET_BYTES = 4096
# From linux/in.h: ifindex, the address that answers, that of the header.
_IP_PKTINFO = 8
_PKTINFO = struct.Struct('=I4s4s')


class Behind(Protocol):
    """A BMC behind a wire; everything is called by the thread of the wire."""

    @property
    def is_busy(self) -> bool:
        """Whether it wants its turn as soon as possible."""
        ...

    def receive(self, data: bytes, client: Any) -> None:
        """Take a packet."""
        ...

    def turn(self, now: float) -> None:
        """Forget what is due to be forgotten, send what is due."""
        ...


class Wire:
    """Serves until `stop`.

    :param address: that is served, or 0.0.0.0 for all of them.
    :param port: UDP port; 0 lets the kernel choose.
    """

    def __init__(self, address: str, port: int) -> None:
        self._told = ipaddress.ip_address(address).version == 4
        self._udp = socket.socket(
            socket.AF_INET if self._told else socket.AF_INET6,
            socket.SOCK_DGRAM,
        )
        if self._told:
            self._udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._udp.bind((address, port))
        self.port: int = self._udp.getsockname()[1]
        self._behind: dict[bytes, Behind] = {}
        self._turns: list[Behind] = []
        self._late: list[tuple[float, int, bytes, Any, bytes]] = []
        self._sent = 0
        self.selector = selectors.DefaultSelector()
        self.selector.register(self._udp, selectors.EVENT_READ, self._receive)
        self._wake_read, self._wake_write = os.pipe()
        self.selector.register(
            self._wake_read, selectors.EVENT_READ, self._woken
        )
        self._calls: list[Callable[[], None]] = []
        self._running = True
        self._thread = threading.Thread(
            target=self._serve, name=f'ipmi-{self.port}', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and close the socket."""
        self._running = False
        os.write(self._wake_write, b'x')
        self._thread.join()
        self.selector.close()
        self._udp.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def attach(self, address: str, bmc: Behind) -> bytes:
        """Have a BMC served; return what `send` takes for its address."""
        key = ipaddress.ip_address(address).packed
        # Another one: the thread may be looking at this one.
        self._behind = {**self._behind, key: bmc}
        return key

    def call(self, function: Callable[[], None]) -> None:
        """Have a function called by the thread of the wire, soon."""
        self._calls.append(function)
        os.write(self._wake_write, b'x')

    def send(
        self, packet: bytes, client: Any, source: bytes, delay_s: float = 0.0
    ) -> None:
        """Send a packet from the address of a BMC.

        :param source: as `attach` returned it.
        :param delay_s: seconds by which it is late.
        """
        if delay_s > 0:
            self._sent += 1
            due = time.monotonic() + delay_s
            heapq.heappush(
                self._late, (due, self._sent, packet, client, source)
            )
            return
        told = []
        if self._told:
            told = [
                (
                    socket.IPPROTO_IP,
                    _IP_PKTINFO,
                    _PKTINFO.pack(0, source, bytes(4)),
                )
            ]
        try:
            self._udp.sendmsg([packet], told, 0, client)
        except OSError as exc:
            LOG.debug('Cannot answer %s: %s', client, exc)

    def _serve(self) -> None:
        next_turns = 0.0
        while self._running:
            for key, _ in self.selector.select(self._next_tick_s()):
                try:
                    key.data()
                except Exception:
                    # A hostile packet must not end the BMC for everyone.
                    LOG.exception('IPMI packet not understood')
            now = time.monotonic()
            while self._late and self._late[0][0] <= now:
                _, _, packet, client, source = heapq.heappop(self._late)
                self.send(packet, client, source)
            for bmc in self._behind.values() if self._is_small else ():
                bmc.turn(now)
            if not self._is_small and now >= next_turns:
                self._take_turns(now)
                next_turns = now + _TICK_S

    @property
    def _is_small(self) -> bool:
        return len(self._behind) < _TURN_S / _TICK_S

    def _take_turns(self, now: float) -> None:
        """Give a share of the BMCs their turn, so that none waits long."""
        share = -(-len(self._behind) * _TICK_S // _TURN_S)
        for _ in range(int(share)):
            if not self._turns:
                self._turns = list(self._behind.values())
            self._turns.pop().turn(now)

    def _next_tick_s(self) -> float:
        if self._late:
            due_s = self._late[0][0] - time.monotonic()
            return min(_TICK_S, max(0.0, due_s))
        if self._is_small and any(
            bmc.is_busy for bmc in self._behind.values()
        ):
            return _TICK_S / 5
        return _TICK_S

    def _woken(self) -> None:
        os.read(self._wake_read, 64)
        while self._calls:
            self._calls.pop(0)()

    def _receive(self) -> None:
        data, told, _flags, client = self._udp.recvmsg(
            _PACKET_BYTES, socket.CMSG_SPACE(_PKTINFO.size)
        )
        behind = self._behind
        bmc = behind.get(_destination(told))
        if bmc is None and len(behind) == 1:
            (bmc,) = behind.values()
        if bmc is not None:
            bmc.receive(data, client)


def _destination(told: list[tuple[int, int, bytes]]) -> bytes:
    for level, kind, value in told:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return bytes(_PKTINFO.unpack(value[: _PKTINFO.size])[2])
    return b''
