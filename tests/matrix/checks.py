# SPDX-License-Identifier: Apache-2.0
"""One check and its outcome: a command is one, a stestr run is many.

A stestr run is decoded from its subunit stream while it goes, so that each
test of a slow part is seen when it ends and what counts is the stream and
not the exit status. Nothing outlives a check: what is over its limit is
ended together with its whole process group.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import subunit
import testtools

TOP = pathlib.Path(__file__).resolve().parents[2]
GRACE_S = 60


@dataclasses.dataclass
class Outcome:
    """How many tests of a check passed, failed, were skipped, and how long.

    :ivar figures: numbers that the check measured, for its result file.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)

    def add(self, other: 'Outcome') -> None:
        """Count what another check counted."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.seconds += other.seconds
        self.figures.update(other.figures)


@dataclasses.dataclass(frozen=True)
class Command:
    """A program whose exit status 0 is one test passed."""

    name: str
    argv: tuple[str, ...]

    def run(self, limit_s: float, env: Mapping[str, str]) -> Outcome:
        """Run it; what it printed is shown only where it failed."""
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            try:
                with _started(
                    self.argv, env, output, subprocess.STDOUT
                ) as process:
                    status = _wait(process, limit_s)
            except FileNotFoundError as exc:
                output.write(f'{exc}\n'.encode())
                status = 127
            seconds = time.monotonic() - began
            if status == 0:
                _say(f'  ok    {seconds:6.1f} s  {self.name}')
                return Outcome(passed=1, seconds=seconds)
            output.seek(0)
            sys.stdout.write(output.read().decode(errors='replace'))
        _say(f'  FAIL  {seconds:6.1f} s  {self.name} (exit status {status})')
        return Outcome(failed=1, seconds=seconds)


@dataclasses.dataclass(frozen=True)
class Tests:
    """The tests of one folder, or those that match a regular expression.

    :ivar include: a file of regular expressions: the tests that are run.
    :ivar exclude: a file of regular expressions: the tests that are not run.
        What either leaves out counts as skipped.
    :ivar verbose: a line for each test, for those that take seconds.
    """

    folder: str
    regex: str | None = None
    include: str | None = None
    exclude: str | None = None
    serial: bool = False
    verbose: bool = False

    def run(self, limit_s: float, env: Mapping[str, str]) -> Outcome:
        """Run them and count each from the subunit stream."""
        began = time.monotonic()
        outcome = Outcome()
        with (
            tempfile.TemporaryDirectory() as repository,
            tempfile.TemporaryFile() as errors,
        ):
            argv = [
                *stestr(self.folder, repository),
                'run',
                '--subunit',
                *(['--serial'] if self.serial else []),
                *(['--include-list', self.include] if self.include else []),
                *(['--exclude-list', self.exclude] if self.exclude else []),
                *([self.regex] if self.regex else []),
            ]
            status = self._decode(argv, limit_s, env, outcome, errors)
            if status != 0 or not (outcome.passed or outcome.failed):
                errors.seek(0)
                text = errors.read().decode(errors='replace').strip()
                _say(f'---- standard error, its end\n{text[-4000:]}')
        if status != 0 or not (outcome.passed or outcome.failed):
            _say(
                f'  FAIL  {self.folder}: no complete run of any test '
                f'(exit status {status})'
            )
            outcome.failed += 1
        outcome.skipped += self._left_out(outcome)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _decode(
        self,
        argv: Sequence[str],
        limit_s: float,
        env: Mapping[str, str],
        outcome: Outcome,
        errors: IO[bytes],
    ) -> int:
        def on_test(test: Any) -> None:
            _count(test, outcome, self.verbose)

        result = testtools.StreamToDict(on_test)
        with _started(argv, env, subprocess.PIPE, errors) as process:
            timer = threading.Timer(limit_s, _overdue, (process,))
            timer.start()
            result.startTestRun()
            try:
                subunit.ByteStreamToStreamResult(
                    process.stdout, non_subunit_name='stdout'
                ).run(result)
            finally:
                timer.cancel()
                result.stopTestRun()
            return process.wait()

    def _left_out(self, outcome: Outcome) -> int:
        if self.include is None and self.exclude is None:
            return 0
        seen = outcome.passed + outcome.failed + outcome.skipped
        return max(0, len(list_tests(self.folder)) - seen)


def stestr(folder: str, repository: str) -> list[str]:
    """Return the beginning of a stestr command with its own repository."""
    return [
        *(sys.executable, '-m', 'stestr', '--test-path', f'./{folder}'),
        *('--top-dir', str(TOP), '--repo-url', repository),
    ]


def list_tests(folder: str) -> list[str]:
    """Return the ids of the tests of a folder.

    :raises subprocess.CalledProcessError: a module does not import.
    """
    with tempfile.TemporaryDirectory() as repository:
        for verb in ('init', 'list'):
            done = subprocess.run(
                [*stestr(folder, repository), verb],
                cwd=TOP,
                env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
    prefix = folder.replace('/', '.') + '.'
    return [
        line for line in done.stdout.splitlines() if line.startswith(prefix)
    ]


@contextlib.contextmanager
def _started(
    argv: Sequence[str], env: Mapping[str, str], output: Any, errors: Any
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        argv,
        cwd=TOP,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        if process.stdout:
            process.stdout.close()
        process.wait()


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> int:
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        _overdue(process)
        return process.wait()


def _overdue(process: subprocess.Popen[bytes]) -> None:
    _say('  over its limit: ended')
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a check with all that it started, other sessions included."""
    family = _descendants(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            break
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """Return the processes below one, by what the kernel says of parents."""
    children: dict[int, list[int]] = {}
    for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold spaces; the parent is field 4.
            parent = int(path.read_text().rpartition(')')[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found: list[int] = []
    to_visit = [pid]
    while to_visit:
        below = children.get(to_visit.pop(), [])
        found += below
        to_visit += below
    return found


def _count(test: dict[str, Any], outcome: Outcome, verbose: bool) -> None:
    if test['id'] == 'stdout':
        return
    begin, end = test['timestamps']
    seconds = (end - begin).total_seconds() if begin and end else 0.0
    status = test['status']
    if status in ('success', 'xfail'):
        outcome.passed += 1
        word = 'ok'
    elif status == 'skip':
        outcome.skipped += 1
        word = 'skip'
    elif status == 'exists':
        return
    else:
        outcome.failed += 1
        word = 'FAIL'
    if word == 'ok' and not verbose:
        return
    _say(f'  {word:4}  {seconds:6.1f} s  {test["id"]}')
    if word == 'skip':
        reason = test['details'].get('reason')
        _say(f'        {reason.as_text().strip() if reason else ""}')
    if word == 'FAIL':
        # Why it failed first: reports are cut at their end.
        details = sorted(
            test['details'].items(),
            key=lambda item: (not item[0].startswith('traceback'), item[0]),
        )
        for name, content in details:
            text = content.as_text().strip()
            if text:
                _say(f'---- {name}\n{text[-4000:]}')


def _say(line: str) -> None:
    print(line, flush=True)
