# SPDX-License-Identifier: Apache-2.0
"""Fills a file system that only the kernel can write: XFS and Btrfs.

`populate` starts this module again in a mount namespace of its own, so that
nobody sees the mount and it goes, with its loop device, when the process does.
"""

import argparse
import pathlib
import sys

from zsbm_ironic.common import process

_COPY_TIMEOUT_S = 600


def populate(
    part: pathlib.Path,
    source: pathlib.Path,
    mount_point: pathlib.Path,
    subvolume: str = '',
) -> None:
    """Copy a folder into the file system in a plain file.

    :param part: the file; has an empty file system.
    :param source: its content becomes the file system's.
    :param mount_point: an empty folder.
    :param subvolume: of Btrfs, made for the content; '' is the top level.
    :raises ProcessFailed: the kernel knows no such file system, or it is
        full.
    """
    process.run(
        ['unshare', '--mount', '--propagation=private', '--']
        + [sys.executable, '-m', __name__, str(part), str(source)]
        + [str(mount_point), f'--subvolume={subvolume}'],
        timeout_s=2 * _COPY_TIMEOUT_S,
    )


def main() -> int:
    """Mount, copy, unmount; to be run in a private mount namespace."""
    parser = argparse.ArgumentParser(prog=f'python -m {__name__}')
    for name in ('part', 'source', 'mount_point'):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument('--subvolume', default='')
    arguments = parser.parse_args()
    mount_point: pathlib.Path = arguments.mount_point
    process.run(
        ['mount', '-o', 'loop', arguments.part, mount_point], timeout_s=60
    )
    target = mount_point
    if arguments.subvolume:
        target = mount_point / arguments.subvolume
        process.run(['btrfs', 'subvolume', 'create', target], timeout_s=60)
    process.run(
        ['cp', '--archive', f'{arguments.source}/.', target],
        timeout_s=_COPY_TIMEOUT_S,
    )
    process.run(['umount', mount_point], timeout_s=_COPY_TIMEOUT_S)
    return 0


if __name__ == '__main__':
    sys.exit(main())
