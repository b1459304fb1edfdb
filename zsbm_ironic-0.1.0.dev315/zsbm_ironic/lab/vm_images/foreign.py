# SPDX-License-Identifier: Apache-2.0
"""Lets programs of another architecture start while a root is built.

Debian registers the emulators of qemu-user-static by systemd; where there is
none, the one that is needed is registered here, and taken away afterwards.
Needs root.
"""

import contextlib
import pathlib
from collections.abc import Iterator

from zsbm_ironic.common import apt, exception, process

_EMULATORS = {'amd64': 'x86_64', 'arm64': 'aarch64'}
_MISC = pathlib.Path('/proc/sys/fs/binfmt_misc')
_RULES = pathlib.Path('/usr/lib/binfmt.d')


@contextlib.contextmanager
def programs(architecture: str, what: str) -> Iterator[None]:
    """Let programs of an architecture start here, until this ends.

    :param architecture: Debian's name of it.
    :param what: is built, for messages.
    :raises ToolMissing: there is no emulator.
    :raises BuildFailed: the kernel does not start it.
    """
    host = process.run(['dpkg', '--print-architecture'], timeout_s=30)
    if architecture == host.stdout.strip():
        yield
        return
    emulator = _EMULATORS[architecture]
    apt.require('arch-test', 'arch-test', what)
    apt.require(f'qemu-{emulator}-static', 'qemu-user-static', what)
    with contextlib.ExitStack() as undo:
        why: object = ''
        if not _start(architecture):
            try:
                _register(f'qemu-{emulator}', undo)
            except (OSError, exception.ProcessFailed) as exc:
                why = exc
        if not _start(architecture):
            raise exception.BuildFailed(
                what=what,
                why=f'programs of {architecture} do not start here. Let '
                "systemd-binfmt register qemu-user-static's in binfmt_misc"
                f'. {why}'.rstrip('. '),
            )
        yield


def _start(architecture: str) -> bool:
    done = process.run(['arch-test', architecture], timeout_s=60, check=False)
    return done.returncode == 0


def _register(name: str, undo: contextlib.ExitStack) -> None:
    if not (_MISC / 'register').exists():
        process.run(
            ['mount', '-t', 'binfmt_misc', 'binfmt_misc', str(_MISC)],
            timeout_s=30,
        )
        undo.callback(process.run, ['umount', str(_MISC)], timeout_s=30)
    rule = (_RULES / f'{name}.conf').read_text().strip()
    (_MISC / 'register').write_text(rule)
    undo.callback((_MISC / name).write_text, '-1')
