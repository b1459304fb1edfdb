# SPDX-License-Identifier: Apache-2.0
"""A management node whose disk is full, on request.

A file system of a few KiB is mounted over each folder in which a conductor
keeps images and boot files before they are served. Called by the faults and
by `down`, which takes it away. What the folders hold is hidden, not lost.
"""

import pathlib

from zsbm_ironic.common import process
from zsbm_ironic.lab import layout

# Of a conductor's folder: what [pxe] and [deploy] fill.
FOLDERS = ('images', 'master_images', 'tftp_master_images')
SIZE_KIB = 256
TIMEOUT_S = 20
MOUNTS = pathlib.Path('/proc/self/mounts')


def fill(root: pathlib.Path) -> None:
    """Leave a conductor no room for images; idempotent.

    :param root: the conductor's folder.
    """
    own = f'uid={layout.IRONIC_UID},gid={layout.SHARED_GID},mode=2750'
    present = _mounted_below(root)
    for name in FOLDERS:
        folder = root / name
        if folder not in present:
            process.run(
                [
                    *('mount', '-t', 'tmpfs', '-o'),
                    f'size={SIZE_KIB}k,{own}',
                    *('zsbm-full-disk', folder),
                ],
                timeout_s=TIMEOUT_S,
            )


def release(state: pathlib.Path) -> None:
    """Give all conductors of a lab their room back; idempotent.

    :param state: the lab's state folder.
    """
    for folder in _mounted_below(state):
        # Lazy: a process may have a file open there.
        process.run(['umount', '-l', folder], timeout_s=TIMEOUT_S)


def _mounted_below(folder: pathlib.Path) -> list[pathlib.Path]:
    lines = MOUNTS.read_text().splitlines()
    targets = [pathlib.Path(line.split()[1]) for line in lines]
    return [path for path in targets if folder in path.parents]
