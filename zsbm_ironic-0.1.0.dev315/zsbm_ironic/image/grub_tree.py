# SPDX-License-Identifier: Apache-2.0
"""Files on XFS, btrfs, FAT and logical volumes, by grub-fstest: no mount.

GRUB's own drivers, so what they read a boot loader reads. They follow
symbolic links themselves, below the root of the file system, and do not show
them.
"""

import functools
import pathlib
import re

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, limits, tree

_LINE = re.compile(r'^(DIR|\d+)\s+\d{14} (.+?)(/?)$')
_ABSENT = re.compile(r'not found|not a directory|not a regular file')


class GrubTree:
    """One file system in a raw image.

    :param image: raw.
    :param device: GRUB's name of it, for example `loop0,msdos1` or
        `lvm/vg-root`.
    :param prefix: folder that is its root, for example a subvolume.

    :ivar prefix: the same, without a slash at its end.
    """

    def __init__(
        self, image: pathlib.Path, device: str, prefix: str = ''
    ) -> None:
        self.name = image.name
        self._image = image
        self._device = device
        self.prefix = prefix.rstrip('/')
        self._list = functools.cache(self._listed)

    def below(self, prefix: str) -> 'GrubTree':
        """Return the same file system with a folder as its root."""
        return GrubTree(self._image, self._device, prefix)

    def entry(self, path: str) -> tree.Entry | None:
        """Return what is at a path."""
        place = pathlib.PurePosixPath('/', path)
        if place == pathlib.PurePosixPath('/'):
            return tree.Entry(tree.Kind.FOLDER)
        return self._list(str(place.parent)).get(place.name)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        return sorted(self._list(str(pathlib.PurePosixPath('/', path))))

    def copy(self, path: str, target: pathlib.Path) -> None:
        """Copy a file's content out."""
        found = self.entry(path)
        if found is None or found.kind is not tree.Kind.FILE:
            raise FileNotFoundError(path)
        self._run('cp', self._full(path), str(target))

    def _full(self, path: str) -> str:
        place = pathlib.PurePosixPath('/', path)
        return f'({self._device}){self.prefix}{place}'

    def _listed(self, path: str) -> dict[str, tree.Entry]:
        try:
            said = self._run('ls', '--', '-la', f'{self._full(path)}/').stdout
        except FileNotFoundError:
            return {}
        entries = {}
        for line in said.splitlines():
            match = _LINE.match(line)
            if match is None or match[2] in ('.', '..'):
                continue
            if match[1] == 'DIR':
                entries[match[2]] = tree.Entry(tree.Kind.FOLDER)
            else:
                size = int(match[1])
                entries[match[2]] = tree.Entry(tree.Kind.FILE, size)
        return entries

    def _run(self, *words: str) -> process.Completed:
        return run(self._image, *words)


def run(image: pathlib.Path, *words: str) -> process.Completed:
    """Run one command of grub-fstest.

    :raises FileNotFoundError: what it was asked for is not there.
    :raises ImageDamaged: it failed otherwise.
    """
    try:
        done = process.run(
            ['grub-fstest', image.absolute(), *words],
            timeout_s=limits.READ_S,
            limits=limits.READER,
            check=False,
        )
    except common_exception.ZsbmError as exc:
        raise _damaged(image, str(exc)) from exc
    errors = [
        line.partition('error: ')[2]
        for line in done.stderr.splitlines()
        if 'error: ' in line
    ]
    if not errors and done.returncode == 0:
        return done
    why = (errors or [f'exit status {done.returncode}'])[-1].rstrip('.')
    if _ABSENT.search(why):
        raise FileNotFoundError(words[-1])
    raise _damaged(image, why)


def _damaged(image: pathlib.Path, why: str) -> exception.ImageDamaged:
    return exception.ImageDamaged(
        image=image.name, what='a file system', why=why
    )
