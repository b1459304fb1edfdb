# SPDX-License-Identifier: Apache-2.0
"""One question to many IPMI BMCs at once, from one thread.

Nobody waits for anybody: each answer is handed out when it is there, and a
BMC that is slow or dead costs a few packets. `ask` goes over sessions that
are held, `Probe` needs none and finds out who is worth a login. Called by
`pool` and `watch`; nothing outlives a call but the sessions, which are the
caller's.
"""

import contextlib
import ipaddress
import random
import select
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.bmc import detect, rmcp

# What is sent in one go: the answers of so many fit into any queue.
BURST = 32
# How often it is looked who is to be asked again.
TICK_S = 0.1
PROBE_AGAIN_S = 0.4
# That are taken at a time, whoever sends more.
PACKETS = 2048
# An answer to a probe may be so late.
LATE_S = 30.0


def ask(
    sessions: Mapping[str, rmcp.RmcpSession],
    netfn: int,
    command: int,
    limit_s: float,
) -> Iterator[tuple[str, tuple[int, bytes] | None]]:
    """Send a command that only reads to all of them.

    :param sessions: by any name; nobody else may use them meanwhile.
    :param limit_s: after which the others are given up.
    :returns: name with completion code and data, each as it comes; None for
        those that did not answer.
    """
    unsent = list(sessions.items())
    waiting: dict[int, tuple[str, rmcp.RmcpSession]] = {}
    deadline = time.monotonic() + limit_s
    with contextlib.closing(select.epoll()) as poller:
        tick = 0.0
        while (unsent or waiting) and (now := time.monotonic()) < deadline:
            for name, one in unsent[:BURST]:
                if one.broken:
                    yield name, None
                    continue
                one.begin(netfn, command)
                poller.register(one.socket, select.EPOLLIN)
                waiting[one.socket.fileno()] = name, one
            del unsent[:BURST]
            if now >= tick:
                tick = now + TICK_S
                for _name, one in waiting.values():
                    one.send_again(now)
            wait_s = 0.0 if unsent else min(tick, deadline) - now
            for number, _event in poller.poll(max(0.0, wait_s)):
                name, one = waiting[number]
                answer = one.hear()
                if answer is not None:
                    poller.unregister(number)
                    del waiting[number]
                    yield name, answer
    for name, _one in [*waiting.values(), *unsent]:
        yield name, None


class Probe:
    """Finds out who is there: who answers what needs no login.

    An answer that comes late counts at the next time. Used by one thread;
    its sockets live until `close`.
    """

    def __init__(self) -> None:
        """Open no socket yet."""
        self._sockets: dict[int, socket.socket] = {}
        # Address and port: who it is, and when it was asked.
        self._asked: dict[tuple[str, int], tuple[list[str], float]] = {}
        self._late: set[str] = set()
        self._sequence = random.randrange(64)  # noqa: S311 - no secret

    def late(self) -> set[str]:
        """Return who has answered since `present` was called."""
        now = time.monotonic()
        self._late |= self._hear(now)
        self._asked = {
            where: one
            for where, one in self._asked.items()
            if now - one[1] < LATE_S
        }
        return self._late

    def present(
        self, bmcs: Mapping[str, bmc_credentials.Credentials], limit_s: float
    ) -> set[str]:
        """Return the names of those that answer, or have answered.

        One with a host name counts as there: names are not looked up here,
        where one that takes long would keep all others.

        :param limit_s: how long to wait, where not all do at once.
        """
        found = self.late() & bmcs.keys()
        self._late -= bmcs.keys()
        asked: dict[tuple[str, int], list[str]] = {}
        for name in bmcs.keys() - found:
            try:
                address = ipaddress.ip_address(bmcs[name].address)
            except ValueError:
                found.add(name)
            else:
                where = str(address), bmcs[name].ipmi.port
                asked.setdefault(where, []).append(name)
        now = time.monotonic()
        deadline = now + limit_s
        self._asked |= {where: (names, now) for where, names in asked.items()}
        while left := asked.keys() & self._asked.keys():
            if (now := time.monotonic()) >= deadline:
                break
            self._send(left)
            found |= self._hear(min(deadline, now + PROBE_AGAIN_S), left)
        self._late |= found - bmcs.keys()
        return found & bmcs.keys()

    def _send(self, where: Iterable[tuple[str, int]]) -> None:
        request = detect.capabilities_request(self._sequence)
        for address, port in where:
            with contextlib.suppress(OSError):
                self._socket(address).sendto(request, (address, port))

    def _socket(self, address: str) -> socket.socket:
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        if family not in self._sockets:
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.setblocking(False)
            self._sockets[family] = made
        return self._sockets[family]

    def _hear(
        self, until: float, awaited: Collection[tuple[str, int]] = ()
    ) -> set[str]:
        """Return who answers until then, or until all awaited have."""
        found: set[str] = set()
        left = set(awaited)
        poller = select.poll()
        by_number = {one.fileno(): one for one in self._sockets.values()}
        for number in by_number:
            poller.register(number, select.POLLIN)
        for _ in range(PACKETS if by_number else 0):
            wait_s = max(0.0, until - time.monotonic()) if left else 0.0
            ready = poller.poll(1000 * wait_s)
            if not ready:
                break
            for number, _event in ready:
                with contextlib.suppress(OSError):
                    packet, sender = by_number[number].recvfrom(1024)
                    if detect.capabilities(packet, self._sequence):
                        names, _at = self._asked.pop(sender[:2], ((), 0.0))
                        found.update(names)
                        left.discard(sender[:2])
        return found

    def close(self) -> None:
        """Close the sockets."""
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()
