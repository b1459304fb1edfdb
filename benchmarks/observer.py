# SPDX-License-Identifier: Apache-2.0
"""Watch one server boot from outside: packets on the wire, CPU in /proc.

Both ways of booting are watched by the same means, none of which either of
them knows about: a capture of connection openings on the provisioning
network, and the kernel's accounting of each process of the lab.
"""

import dataclasses
import os
import pathlib
import re
import threading
import time
from collections.abc import Callable

from zsbm_ironic.common import process
from zsbm_ironic.lab import layout, network

# DHCP, TFTP requests, and openings of TCP connections (SYN without ACK).
FILTER = (
    'udp port 67 or udp dst port 69 or '
    'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'
)
PACKET = re.compile(
    r'^(?P<time>\d+\.\d+) IP6? (?P<source>\S+) > '
    r'(?P<target>\S+?): (?P<rest>.*)'
)
CLOCK_TICKS = os.sysconf('SC_CLK_TCK')
PAGE_BYTES = os.sysconf('SC_PAGE_SIZE')
READ_EVERY_S = 0.5
# With less than this share of one core at work in the whole lab, the server
# included, everybody waits.
IDLE_SHARE = 0.1
SERVER, BOOT_SERVICE, IRONIC = 'server', 'boot service', 'ironic'
GROUPS = (IRONIC, BOOT_SERVICE, SERVER)

GroupOf = Callable[[pathlib.Path], str | None]


@dataclasses.dataclass(frozen=True)
class Packet:
    """One opening: seconds since the epoch, its kind, and whose it is."""

    time_s: float
    kind: str
    source: str


class Capture:
    """The openings on the provisioning network while it is entered."""

    def __init__(self, log: pathlib.Path) -> None:
        self._log = log

    def __enter__(self) -> 'Capture':
        self._log.unlink(missing_ok=True)
        self._tcpdump = process.start(
            [
                *network.nsenter(),
                *('tcpdump', '-i', layout.BRIDGE, '-nn', '-tt', '-l', '-p'),
                FILTER,
            ],
            log=self._log,
        )
        deadline = time.monotonic() + 10
        while 'listening on' not in self._text():
            if time.monotonic() > deadline:
                raise RuntimeError(f'tcpdump: {self._text()}')
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._tcpdump.terminate()
        self._tcpdump.wait(10)

    def packets(self) -> list[Packet]:
        """Return what machines sent so far, in order."""
        found = []
        for line in self._text().splitlines():
            match = PACKET.match(line)
            if match and (kind := _kind(match['target'], match['rest'])):
                source = match['source'].rpartition('.')[0]
                if source not in layout.CONDUCTOR_ADDRESSES:
                    found.append(Packet(float(match['time']), kind, source))
        return found

    def _text(self) -> str:
        return self._log.read_text(errors='replace')


def _kind(target: str, rest: str) -> str | None:
    if 'BOOTP/DHCP, Request' in rest:
        return 'dhcp'
    port = target.rpartition('.')[2]
    return {
        '69': 'tftp',
        str(layout.HTTP_PORT): 'http',
        str(layout.API_PORT): 'api',
    }.get(port)


@dataclasses.dataclass
class Seen:
    """A process of the lab: what the kernel counted of it so far.

    :ivar started_s: seconds since the epoch.
    :ivar own_s: CPU seconds of its own.
    :ivar children_s: of children that have ended and were waited for.
    """

    group: str
    parent: int
    started_s: float
    own_s: float
    children_s: float
    resident_bytes: int


class Accounting(threading.Thread):
    """CPU and memory of the processes of the lab, read twice a second.

    What lives shorter than that (ipmitool) is in its parent's account. A
    process that ended keeps its last reading, unless its parent has as much
    of its children: one that does not wait for them never has it.

    :param group_of: tells the group of a process by its folder in /proc,
        None for one that is not to be counted.
    :param groups: all that it tells.
    """

    def __init__(
        self,
        group_of: GroupOf | None = None,
        groups: tuple[str, ...] = GROUPS,
    ) -> None:
        super().__init__(daemon=True)
        self._group_of = group_of or of_lab
        self._groups = groups
        self._halt = threading.Event()
        self._first: dict[int, Seen] = {}
        self._last: dict[int, Seen] = {}
        self._living: set[int] = set()
        self._peak: dict[str, int] = {}
        self.idle_s = 0.0

    def run(self) -> None:
        before, busy = time.monotonic(), self._total()
        while not self._halt.wait(READ_EVERY_S):
            self._read()
            now, total = time.monotonic(), self._total()
            if total - busy < IDLE_SHARE * (now - before):
                self.idle_s += now - before
            before, busy = now, total

    def __enter__(self) -> 'Accounting':
        self._read()
        self._first = dict(self._last)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        self.join()
        self._read()

    def cpu_s(self) -> dict[str, float]:
        """Return CPU seconds by group."""
        sums = dict.fromkeys(self._groups, 0.0)
        ended: dict[int, list[int]] = {}
        for pid, one in self._last.items():
            if pid not in self._living and one.parent in self._last:
                ended.setdefault(one.parent, []).append(pid)
        inside = {pid for pids in ended.values() for pid in pids}
        for pid in self._last.keys() - inside:
            sums[self._last[pid].group] += self._spent_s(pid, ended)
        return {name: round(value, 2) for name, value in sums.items()}

    def _spent_s(self, pid: int, ended: dict[int, list[int]]) -> float:
        one, first = self._last[pid], self._first.get(pid)
        own_s, children_s = one.own_s, one.children_s
        if first is not None:
            own_s -= first.own_s
            children_s -= first.children_s
        of_ended_s = sum(
            self._spent_s(child, ended) for child in ended.get(pid, ())
        )
        return own_s + max(children_s, of_ended_s)

    def peak_bytes(self) -> dict[str, int]:
        """Return the largest resident memory of each group."""
        return dict(self._peak)

    def starts(self) -> list[float]:
        """Return when machines were powered on, seconds since the epoch."""
        return sorted(
            one.started_s
            for pid, one in self._last.items()
            if one.group == SERVER and pid not in self._first
        )

    def _total(self) -> float:
        return sum(self.cpu_s().values())

    def _read(self) -> None:
        living = set()
        memory: dict[str, int] = {}
        for folder in pathlib.Path('/proc').glob('[0-9]*'):
            one = _seen(folder, self._group_of)
            if one is not None:
                living.add(int(folder.name))
                self._last[int(folder.name)] = one
                memory.setdefault(one.group, 0)
                memory[one.group] += one.resident_bytes
        self._living = living
        for group, size in memory.items():
            self._peak[group] = max(size, self._peak.get(group, 0))


def _seen(folder: pathlib.Path, group_of: GroupOf) -> Seen | None:
    """Read one process; None for one that is not counted, or has ended."""
    try:
        group = group_of(folder)
        if group is None:
            return None
        text = (folder / 'stat').read_text().rpartition(')')[2]
        pages = int((folder / 'statm').read_text().split()[1])
    except (OSError, IndexError):
        return None
    # proc(5): state is field 3, ppid 4, utime to cstime 14 to 17,
    # starttime 22.
    fields = text.split()
    own, children = (
        sum(int(value) for value in fields[first : first + 2]) / CLOCK_TICKS
        for first in (11, 13)
    )
    since_boot_s = int(fields[19]) / CLOCK_TICKS
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return Seen(
        group=group,
        parent=int(fields[1]),
        started_s=booted + since_boot_s,
        own_s=own,
        children_s=children,
        resident_bytes=pages * PAGE_BYTES,
    )


def of_lab(folder: pathlib.Path) -> str | None:
    """Return the group of a process of the lab."""
    uid = folder.stat().st_uid
    words = (folder / 'cmdline').read_bytes().split(b'\0')
    # nginx writes over its arguments: 'nginx: worker process'.
    program = words[0].partition(b':')[0].rpartition(b'/')[2]
    if program.startswith(b'qemu-system'):
        return SERVER
    if uid == layout.NETBOOT_UID:
        return BOOT_SERVICE
    if uid != layout.IRONIC_UID:
        return None
    return BOOT_SERVICE if program in (b'dnsmasq', b'nginx') else IRONIC


def interface_bytes(name: str) -> int:
    """Return the bytes that the lab sent to the interface so far."""
    path = f'/sys/class/net/{name}/statistics/tx_bytes'
    done = process.run(
        ['ip', 'netns', 'exec', layout.NAMESPACE, 'cat', path], timeout_s=10
    )
    return int(done.stdout)
