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

from zsbm_ironic.common import process
from zsbm_ironic.lab import layout, network

# DHCP, TFTP requests, and openings of TCP connections (SYN without ACK).
FILTER = (
    'udp port 67 or udp dst port 69 or '
    'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'
)
AGENT_PORT = 9999  # ironic-python-agent's default listen_port
PACKET = re.compile(
    r'^(?P<time>\d+\.\d+) IP6? (?P<source>\S+) > '
    r'(?P<target>\S+?): (?P<rest>.*)'
)
CLOCK_TICKS = os.sysconf('SC_CLK_TCK')


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
        """Return what was seen so far, in order."""
        found = []
        for line in self._text().splitlines():
            match = PACKET.match(line)
            if match and (kind := _kind(match['target'], match['rest'])):
                source = match['source'].rpartition('.')[0]
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
        str(AGENT_PORT): 'agent',
    }.get(port)


class Accounting(threading.Thread):
    """CPU seconds of each process of the lab, read twice a second.

    A process that ends between two readings keeps its last one.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._halt = threading.Event()
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._group: dict[int, str] = {}

    def run(self) -> None:
        while not self._halt.wait(0.5):
            self._read()

    def __enter__(self) -> 'Accounting':
        self._read(starting=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        self.join()
        self._read()

    def cpu_s(self) -> dict[str, float]:
        """Return CPU seconds by group: ironic, boot service, qemu."""
        sums: dict[str, float] = {}
        for pid, last in self._last.items():
            spent = last - self._first.get(pid, 0.0)
            group = self._group[pid]
            sums[group] = sums.get(group, 0.0) + spent
        return {name: round(value, 2) for name, value in sums.items()}

    def _read(self, *, starting: bool = False) -> None:
        for folder in pathlib.Path('/proc').glob('[0-9]*'):
            group = _group(folder)
            if group is None:
                continue
            pid = int(folder.name)
            try:
                fields = (folder / 'stat').read_text().rpartition(')')[2]
            except OSError:
                continue
            # proc(5): utime and stime are fields 14 and 15.
            ticks = sum(int(value) for value in fields.split()[11:13])
            self._group[pid] = group
            self._last[pid] = ticks / CLOCK_TICKS
            if starting:
                self._first[pid] = ticks / CLOCK_TICKS


def _group(folder: pathlib.Path) -> str | None:
    try:
        uid = folder.stat().st_uid
        words = (folder / 'cmdline').read_bytes().split(b'\0')
    except OSError:
        return None
    program = words[0].rpartition(b'/')[2]
    if program.startswith(b'qemu-system'):
        return 'server'
    if uid not in (layout.IRONIC_UID, layout.NETBOOT_UID):
        return None
    if program in (b'dnsmasq', b'nginx', b'nginx:') or uid == (
        layout.NETBOOT_UID
    ):
        return 'boot service'
    return 'ironic'


def interface_bytes(name: str) -> int:
    """Return the bytes that the lab sent to the interface so far."""
    path = f'/sys/class/net/{name}/statistics/tx_bytes'
    done = process.run(
        ['ip', 'netns', 'exec', layout.NAMESPACE, 'cat', path], timeout_s=10
    )
    return int(done.stdout)
