# SPDX-License-Identifier: Apache-2.0
"""Run other programs: the only place in the package that starts a subprocess.

Owns the rules for every program that we call: an argument list and never a
shell, an English locale so that output can be read by code, a time limit, and
errors that name the program, its exit status and the end of what it said,
with secrets masked. Called by every room; nothing outlives a call to `run`,
while a process from `start` belongs to its caller, who must end it, and one of
a `Dialogue` ends with that.
"""

import contextlib
import dataclasses
import os
import pathlib
import resource
import selectors
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence

from oslo_utils import strutils

from zsbm_ironic.common import exception

STDERR_TAIL_CHARS = 800


@dataclasses.dataclass(frozen=True)
class Limits:
    """Kernel limits of one child, as qemu-img on a hostile image needs them.

    :ivar address_space_bytes: RLIMIT_AS.
    :ivar cpu_s: RLIMIT_CPU, in seconds.
    :ivar file_bytes: RLIMIT_FSIZE: how long a file it may write; None is no
        limit.
    """

    address_space_bytes: int
    cpu_s: int
    file_bytes: int | None = None

    def apply(self) -> None:
        """Set the limits on the calling process (between fork and exec)."""
        resource.setrlimit(
            resource.RLIMIT_AS,
            (self.address_space_bytes, self.address_space_bytes),
        )
        resource.setrlimit(resource.RLIMIT_CPU, (self.cpu_s, self.cpu_s))
        if self.file_bytes is not None:
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (self.file_bytes, self.file_bytes)
            )


@dataclasses.dataclass(frozen=True)
class Completed:
    """What a finished program left: exit status and both of its outputs."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, 'LC_ALL': 'C', **(extra or {})}


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout_s: float,
    stdin: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
    limits: Limits | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end and return what it printed.

    :param argv: program and arguments; never a shell string.
    :param timeout_s: seconds after which the program is killed.
    :param stdin: text or bytes for its standard input; None is /dev/null.
    :param env: variables added to this process's own.
    :param limits: kernel limits for the child.
    :param check: raise when the exit status is not 0.
    :raises ProcessFailed: exit status not 0 (with check), or not startable.
    :raises ProcessTimedOut: still running after timeout_s.
    """
    words = tuple(os.fspath(word) for word in argv)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(  # noqa: S603 - a list, and never a shell
            words,
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            timeout=timeout_s,
            env=_environment(env),
            cwd=cwd,
            preexec_fn=limits.apply if limits else None,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise exception.ProcessTimedOut(
            program=_masked(words), timeout_s=timeout_s
        ) from exc
    except OSError as exc:
        raise exception.ProcessFailed(
            program=_masked(words), returncode=127, stderr=str(exc)
        ) from exc
    completed = Completed(
        words,
        done.returncode,
        done.stdout.decode(errors='replace'),
        done.stderr.decode(errors='replace'),
    )
    if check and completed.returncode != 0:
        tail = completed.stderr.strip()[-STDERR_TAIL_CHARS:]
        raise exception.ProcessFailed(
            program=_masked(words),
            returncode=completed.returncode,
            stderr=strutils.mask_password(tail),
        )
    return completed


class Dialogue:
    """A program that answers one request after the other.

    It ends when nobody has this object any more, or by `close`.

    :param argv: program and arguments.
    :param limits: kernel limits for the child.
    :param env: variables added to this process's own.
    :raises ProcessFailed: the program cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._argv = tuple(argv)
        try:
            self._child = subprocess.Popen(  # noqa: S603 - never a shell
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=_environment(env),
                preexec_fn=limits.apply if limits else None,
            )
        except OSError as exc:
            raise exception.ProcessFailed(
                program=_masked(self._argv), returncode=127, stderr=str(exc)
            ) from exc
        self.close = weakref.finalize(self, _end, self._child)

    def ask(
        self, request: str, *, until: str, timeout_s: float
    ) -> tuple[str, str]:
        """Send lines, and return what both outputs said.

        :param until: with this on its error output the answer is whole.
        :raises ProcessFailed: it ended before.
        :raises ProcessTimedOut: it takes longer, and is ended.
        """
        if not self.close.alive:
            raise self._ended(b'')
        deadline = time.monotonic() + timeout_s
        assert self._child.stdin and self._child.stdout  # noqa: S101
        assert self._child.stderr  # noqa: S101
        out, wrong = self._child.stdout.fileno(), self._child.stderr.fileno()
        said = {out: b'', wrong: b''}
        end = until.encode()
        with selectors.DefaultSelector() as outputs:
            for one in said:
                outputs.register(one, selectors.EVENT_READ)
            with contextlib.suppress(OSError):  # it ended, and says why
                self._child.stdin.write(request.encode())
            while end not in said[wrong]:
                left_s = deadline - time.monotonic()
                ready = outputs.select(max(left_s, 0))
                if not ready and left_s <= 0:
                    self.close()
                    raise exception.ProcessTimedOut(
                        program=_masked(self._argv), timeout_s=timeout_s
                    )
                for key, _ in ready:
                    part = os.read(key.fd, 1 << 16)
                    said[key.fd] += part
                    if not part:
                        outputs.unregister(key.fd)
                if not outputs.get_map():
                    raise self._ended(said[wrong])
            # The rest of the answer was there before.
            while out in {key.fd for key, _ in outputs.select(0)}:
                part = os.read(out, 1 << 16)
                said[out] += part
                if not part:
                    break
        answer, errors = (
            data.decode(errors='replace') for data in said.values()
        )
        return answer, errors

    def _ended(self, stderr: bytes) -> exception.ProcessFailed:
        self.close()
        tail = stderr.decode(errors='replace').strip()[-STDERR_TAIL_CHARS:]
        return exception.ProcessFailed(
            program=_masked(self._argv),
            returncode=self._child.returncode,
            stderr=strutils.mask_password(tail),
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            pipe.close()


def start(
    argv: Sequence[str | os.PathLike[str]],
    *,
    log: pathlib.Path,
    env: Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, both outputs into `log`.

    :returns: the process; its caller ends it and waits for it.
    :raises ProcessFailed: the program cannot be started.
    """
    words = tuple(os.fspath(word) for word in argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('ab') as sink:
        try:
            return subprocess.Popen(  # noqa: S603 - a list, never a shell
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=_environment(env),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as exc:
            raise exception.ProcessFailed(
                program=_masked(words), returncode=127, stderr=str(exc)
            ) from exc


def start_supervised(
    argv: Sequence[str | os.PathLike[str]],
) -> subprocess.Popen[bytes]:
    """Start a program that ends when its parent does, however that ends.

    `setpriv` of util-linux asks the kernel for the signal and becomes the
    program; it runs in a session of its own, so that what it starts can be
    killed by group. To be called from the main thread: the kernel watches
    the thread that started the program.

    :returns: the process, with both of its outputs in the pipe `stdout`.
    :raises ProcessFailed: the program cannot be started.
    """
    words = (
        'setpriv',
        '--pdeathsig',
        'TERM',
        '--',
        *(os.fspath(word) for word in argv),
    )
    try:
        return subprocess.Popen(  # noqa: S603 - a list, never a shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(None),
            start_new_session=True,
        )
    except OSError as exc:
        raise exception.ProcessFailed(
            program=_masked(words), returncode=127, stderr=str(exc)
        ) from exc


def _masked(words: Sequence[str]) -> str:
    return strutils.mask_password(' '.join(words))
