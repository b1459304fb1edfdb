# SPDX-License-Identifier: Apache-2.0
"""A wire of its own with a running `zsbm-netboot`, for functional tests.

Two network namespaces joined by a veth pair and a bridge: the server's side,
in which the service runs as an unprivileged user with its three capabilities,
and the side of the machines. Needs root; leaves nothing behind.
"""

import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import fixtures

from zsbm_ironic.common import process
from zsbm_ironic.netboot import desired, status

SERVER = '198.51.100.1'
USER, GROUP = 64102, 64100
CAPABILITIES = '+net_bind_service,+net_raw,+net_admin'
NODE = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0001'
PORT = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0002'

SUBNETS = (
    'cidr:198.51.100.0/24,range:198.51.100.50-198.51.100.99',
    'cidr:203.0.113.0/24,range:203.0.113.50-203.0.113.99,relayed:true',
)
CONFIGURATION = """\
[DEFAULT]
use_stderr = true
[zsbm_netboot]
interface = br0
{subnets}
desired_dir = {root}/desired
status_dir = {root}/status
run_dir = {root}/run
tftp_root = {root}/tftp
http_root = {root}/http
rogue_probe_interval_s = 1
{extra}
"""


def wait_for(
    condition: Callable[[], object], timeout_s: float = 15.0
) -> object:
    """Return what `condition` returns once it is true.

    :raises AssertionError: it is not within timeout_s.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f'not so after {timeout_s} s')
        time.sleep(0.1)


class NetbootBench(fixtures.Fixture):
    """The wire, the directories and the service.

    :param extra: lines added to [zsbm_netboot].
    :param subnets: lines of the option of that name.
    """

    def __init__(
        self, extra: str = '', subnets: Sequence[str] = SUBNETS
    ) -> None:
        self._extra = extra
        self._subnets = subnets
        # No desired state is looked at where no subnet is served.
        self._without = () if subnets else (-1,)
        self.service: subprocess.Popen[bytes] | None = None

    def _setUp(self) -> None:
        name = secrets.token_hex(3)
        self.server, self.machines = f'zn-s-{name}', f'zn-m-{name}'
        # Not below the test's own folder: the service's user may not enter.
        self.root = pathlib.Path(
            tempfile.mkdtemp(prefix='zsbm-netboot-', dir='/var/tmp')
        )
        self.root.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.root)
        self._wire()
        self._directories()
        self.desired = desired.DesiredState(self.root / 'desired')
        self.status = status.Status(self.root / 'status')
        self.log = self.root / 'service.log'
        self.config = self.root / 'ironic.conf'
        self.config.write_text(
            CONFIGURATION.format(
                root=self.root,
                extra=self._extra,
                subnets='\n'.join(f'subnets = {one}' for one in self._subnets),
            )
        )
        self.addCleanup(self.stop)
        self.start()

    def ip(self, *words: str) -> str:
        """Run `ip`."""
        return process.run(['ip', *words], timeout_s=20).stdout

    def namespace(self, name: str) -> str:
        """Make a network namespace that goes away with the test."""
        self.ip('netns', 'add', name)
        self.addCleanup(self.ip, 'netns', 'del', name)
        self.ip('-n', name, 'link', 'set', 'lo', 'up')
        return name

    def plug(self, namespace: str, interface: str) -> None:
        """Join a namespace to the bridge by a cable called `interface`."""
        port = 'p' + secrets.token_hex(4)
        self.ip(
            *('-n', self.server, 'link', 'add', port, 'type', 'veth'),
            *('peer', 'name', interface, 'netns', namespace),
        )
        self.ip('-n', self.server, 'link', 'set', port, 'master', 'br0', 'up')
        self.ip('-n', namespace, 'link', 'set', interface, 'up')

    def inside(
        self, namespace: str, *argv: str, timeout_s: float = 30.0
    ) -> process.Completed:
        """Run a program in a namespace, whatever its exit status."""
        return process.run(
            ['ip', 'netns', 'exec', namespace, *argv],
            timeout_s=timeout_s,
            check=False,
        )

    def start(self) -> None:
        """Start the service as its user and wait until it serves."""
        with self.log.open('ab') as sink:
            self.service = subprocess.Popen(
                [
                    *('ip', 'netns', 'exec', self.server, 'setpriv'),
                    *('--reuid', str(USER), '--regid', str(GROUP)),
                    *('--clear-groups', '--bounding-set'),
                    *('-all,' + CAPABILITIES, '--inh-caps', CAPABILITIES),
                    *('--ambient-caps', CAPABILITIES, '--no-new-privs'),
                    str(pathlib.Path(sys.executable).parent / 'zsbm-netboot'),
                    *('--config-file', str(self.config)),
                ],
                stdout=sink,
                stderr=sink,
            )
        wait_for(self.serving)

    def serving(self) -> bool:
        """Whether the service has told dnsmasq of all that is desired."""
        beat = self.status.heartbeat()
        if self.service is None or self.service.poll() is not None:
            raise AssertionError(self.log.read_text()[-2000:])
        return (
            beat is not None
            and beat.pid == self.service.pid
            and beat.generation in (self.desired.generation(), *self._without)
            and not beat.problems
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """End the service and return its exit status."""
        if self.service is None:
            return None
        self.service.send_signal(number)
        status_code = self.service.wait(20)
        self.service = None
        return status_code

    def serve(self, mac: str, **fields: object) -> desired.Record:
        """Write a record and wait until it is served."""
        fields.setdefault('addresses', ('198.51.100.50',))
        record = desired.Record(mac=mac, node=NODE, port=PORT, **fields)
        written = self.desired.write(record)
        os.chown(self.desired.path(mac), 0, GROUP)
        wait_for(self.serving)
        return written

    def mac_of(self, namespace: str, interface: str = 'eth0') -> str:
        """Return the MAC of an interface."""
        path = f'/sys/class/net/{interface}/address'
        return self.inside(namespace, 'cat', path).stdout.strip()

    def run_in(self, namespace: str, *argv: str) -> None:
        """Keep a program running in a namespace until the test ends."""
        log = self.root / f'{argv[0]}-{secrets.token_hex(2)}.log'
        started = process.start(
            ['ip', 'netns', 'exec', namespace, *argv], log=log
        )
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)

    def children(self) -> dict[str, int]:
        """Return the pid of each program of the service, by its name."""
        assert self.service is not None
        found = {}
        for pid, parent in _processes().items():
            if parent == self.service.pid:
                try:
                    line = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
                except OSError:
                    continue
                for name, mark in (
                    ('tftp', b'dnsmasq-tftp.conf'),
                    ('dhcp', b'dnsmasq.conf'),
                    ('http', b'nginx'),
                ):
                    if mark in line:
                        found[name] = pid
        return found

    def child_pid(self, name: str) -> int | None:
        """Return the pid of one program of the service."""
        return self.children().get(name)

    def descendants(self) -> list[int]:
        """Return the pids of all that the service started."""
        assert self.service is not None
        parents = _processes()
        found = [self.service.pid]
        for pid in found:
            found += [one for one, up in parents.items() if up == pid]
        return found[1:]

    def _wire(self) -> None:
        self.namespace(self.server)
        self.namespace(self.machines)
        self.ip('-n', self.server, 'link', 'add', 'br0', 'type', 'bridge')
        self.ip(
            *('-n', self.server, 'addr', 'add', f'{SERVER}/24', 'dev', 'br0')
        )
        self.ip('-n', self.server, 'link', 'set', 'br0', 'up')
        self.plug(self.machines, 'eth0')

    def _directories(self) -> None:
        for name in ('desired', 'tftp', 'http'):
            (self.root / name).mkdir(mode=0o755)
        os.chown(self.root / 'desired', 0, GROUP)
        (self.root / 'desired').chmod(0o2750)
        for name in ('status', 'run'):
            (self.root / name).mkdir(mode=0o755)
            os.chown(self.root / name, USER, GROUP)
            (self.root / name).chmod(0o2750)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False
    return text.rpartition(')')[2].split()[0] != 'Z'


def _processes() -> dict[int, int]:
    listing = process.run(['ps', '-eo', 'pid=,ppid='], timeout_s=10).stdout
    rows = (line.split() for line in listing.splitlines())
    return {int(row[0]): int(row[1]) for row in rows}
