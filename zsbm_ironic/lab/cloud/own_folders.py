# SPDX-License-Identifier: Apache-2.0
"""Run a program that has folders and files of the host for itself.

Some programs have their places compiled in: two of them would meet, and what
they leave would outlive the lab. In a private mount namespace such a place is
a folder or file of the lab, or an empty folder that goes with the program. The
host sees nothing of it but the empty folder that it is mounted on. Run as a
module, it is the first program in that namespace.
"""

import argparse
import os
import pathlib
import socket
import sys
from collections.abc import Mapping, Sequence

from zsbm_ironic.common import process

TIMEOUT_S = 20


def argv(
    words: Sequence[str],
    *,
    own: Mapping[str, pathlib.Path],
    empty: Sequence[str] = (),
    alone: bool = False,
    hostname: str = '',
) -> tuple[str, ...]:
    """Return the words that run a program so.

    :param words: the program, with its arguments.
    :param own: folders and files, by where the program looks for them.
    :param empty: folders that have nothing in them at first.
    :param alone: in a process namespace as well: SIGKILL, for nothing else is
        heard, ends all that the program started.
    :param hostname: that the program sees; empty: the host's.
    """
    processes = ('--pid', '--kill-child', '--mount-proc') if alone else ()
    name = ('--uts',) if hostname else ()
    return (
        *('unshare', '--mount', '--propagation=private', *processes, *name),
        '--',
        *(sys.executable, '-m', __name__),
        *(f'--own={place}={path}' for place, path in own.items()),
        *(f'--empty={place}' for place in empty),
        *((f'--hostname={hostname}',) if hostname else ()),
        *('--', *words),
    )


def main() -> None:
    """Mount all of it, then become the program."""
    parser = argparse.ArgumentParser(prog=f'python -m {__name__}')
    parser.add_argument('--own', action='append', default=[])
    parser.add_argument('--empty', action='append', default=[])
    parser.add_argument('--hostname')
    parser.add_argument('words', nargs='+')
    arguments = parser.parse_args()
    if arguments.hostname:
        socket.sethostname(arguments.hostname)
    for pair in arguments.own:
        place, _, path = pair.partition('=')
        if pathlib.Path(path).is_dir():
            _make_folder(place)
        _mount('--bind', path, place)
    for place in arguments.empty:
        _make_folder(place)
        _mount('-t', 'tmpfs', 'zsbm-lab', place)
    os.execvp(arguments.words[0], arguments.words)  # noqa: S606 - a list


def _make_folder(place: str) -> None:
    pathlib.Path(place).mkdir(parents=True, exist_ok=True)


def _mount(*words: str) -> None:
    process.run(['mount', *words], timeout_s=TIMEOUT_S)


if __name__ == '__main__':
    main()
