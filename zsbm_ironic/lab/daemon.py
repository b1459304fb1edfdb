# SPDX-License-Identifier: Apache-2.0
"""Start and stop the lab's own processes, and never anybody else's.

Owns the record of each process (pid and its start time, so that a pid that
was given to another process later is never touched). Called by the lab's
`up`, `down` and `status`; the processes outlive the command that started
them, the records live in the lab's run folder.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

from zsbm_ironic.common import process
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import layout, network

POLL_S = 0.1
# A process that cannot serve (a port taken, a file not readable) says so
# and ends within this time.
SETTLE_S = 0.4
LOG_TAIL_CHARS = 1500


@dataclasses.dataclass(frozen=True)
class Identity:
    """Whom a process runs as: user, group, groups and capabilities.

    :ivar capabilities: names as `setpriv` takes them ('net_raw', ...); the
        process has these and can never gain another one.
    """

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        """Return the `setpriv` words that take on this identity."""
        if self.uid == 0:
            return []
        wanted = ','.join(['-all', *(f'+{cap}' for cap in self.capabilities)])
        groups = ','.join(str(gid) for gid in self.groups)
        return [
            'setpriv',
            f'--reuid={self.uid}',
            f'--regid={self.gid}',
            f'--groups={groups}' if groups else '--clear-groups',
            f'--inh-caps={wanted}',
            f'--ambient-caps={wanted}',
            f'--bounding-set={wanted}',
            '--no-new-privs',
        ]


@dataclasses.dataclass(frozen=True)
class Daemon:
    """One process of the lab.

    :ivar ready: returns True once the process serves; None: it does when it
        has lived for a moment.
    :ivar ready_s: seconds until it must be ready.
    :ivar namespace: network namespace to live in; None: the caller's.
    :ivar stop_signal: asks it to end.
    """

    name: str
    argv: tuple[str, ...]
    identity: Identity = Identity()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    ready_s: float = 60
    namespace: str | None = layout.NAMESPACE
    stop_signal: signal.Signals = signal.SIGTERM


class Supervisor:
    """The processes of one lab.

    :param run: folder of the records.
    :param log: folder of what the processes print.
    """

    def __init__(self, run: pathlib.Path, log: pathlib.Path) -> None:
        self._run = run
        self._log = log

    def log_file(self, name: str) -> pathlib.Path:
        """Return the file that takes both outputs of process `name`."""
        return self._log / f'{name}.log'

    def pid(self, name: str) -> int | None:
        """Return the pid of process `name`, None where it does not run."""
        record = self._record(name)
        pid = record.get('pid')
        if pid is None or start_time(pid) != record['started']:
            return None
        return pid

    def _record(self, name: str) -> dict[str, int]:
        try:
            record: dict[str, int] = json.loads(
                (self._run / f'{name}.json').read_text()
            )
        except (OSError, ValueError):
            return {}
        return record

    def names(self) -> list[str]:
        """Return the recorded processes, the one started last first."""
        records = sorted(
            self._run.glob('*.json'),
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        )
        return [path.stem for path in records]

    def start(self, daemon: Daemon) -> bool:
        """Start a process and wait until it is ready.

        One that runs already is waited for as well: what started it may have
        been interrupted.

        :returns: False where it ran already.
        :raises LabProcessFailed: it ended, or was not ready in time; it then
            runs no more.
        """
        running = self.pid(daemon.name) is not None
        began = time.monotonic()
        child = None if running else self._start(daemon)
        while True:
            if child is not None:
                time.sleep(POLL_S)
                if child.poll() is not None:
                    self._failed(daemon, f'it ended with {child.returncode}')
            age_s = time.monotonic() - began
            if daemon.ready is None and (running or age_s >= SETTLE_S):
                return not running
            if daemon.ready is not None and daemon.ready():
                return not running
            if age_s > daemon.ready_s:
                self.stop(daemon.name)
                self._failed(daemon, f'not ready in {daemon.ready_s:.0f} s')
            if child is None:
                time.sleep(POLL_S)

    def _start(self, daemon: Daemon) -> subprocess.Popen[bytes]:
        self._run.mkdir(parents=True, exist_ok=True)
        enter = network.nsenter(daemon.namespace) if daemon.namespace else []
        child = process.start(
            [*enter, *daemon.identity.argv(), *daemon.argv],
            log=self.log_file(daemon.name),
            env=daemon.env,
            # The caller's folder may be one that its user cannot read.
            cwd=pathlib.Path('/'),
        )
        record = {
            'pid': child.pid,
            'started': start_time(child.pid),
            'stop_signal': daemon.stop_signal,
        }
        (self._run / f'{daemon.name}.json').write_text(json.dumps(record))
        return child

    def stop(self, name: str, stop_s: float = 30) -> bool:
        """End a process: its signal, after `stop_s` seconds SIGKILL.

        :returns: False where it did not run.
        """
        pid = self.pid(name)
        if pid is not None:
            asked = self._record(name).get('stop_signal', signal.SIGTERM)
            _end(pid, asked, stop_s)
        (self._run / f'{name}.json').unlink(missing_ok=True)
        return pid is not None

    def kill(self, name: str) -> None:
        """SIGKILL a process and its workers; its record stays.

        So does a crash, after which a service manager ends what is left.
        """
        pid = self.pid(name)
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)
            _reap(pid, 5)

    def _failed(self, daemon: Daemon, why: str) -> None:
        (self._run / f'{daemon.name}.json').unlink(missing_ok=True)
        path = self.log_file(daemon.name)
        tail = path.read_text(errors='replace')[-LOG_TAIL_CHARS:]
        raise lab_exception.LabProcessFailed(
            name=daemon.name, why=why, log=path, tail=tail
        )


def start_time(pid: int) -> int | None:
    """Return when a live process started, in ticks since boot (proc(5))."""
    try:
        stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return None
    fields = stat.rpartition(')')[2].split()
    return None if fields[0] == 'Z' else int(fields[19])


def _end(pid: int, asked: int, stop_s: float) -> None:
    """End a whole session that `process.start` opened."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, asked)
    if not _reap(pid, stop_s):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        _reap(pid, 5)


def _reap(pid: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if start_time(pid) is None:
            return True
        time.sleep(POLL_S)
    return False
