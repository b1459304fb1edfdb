# SPDX-License-Identifier: Apache-2.0
"""Files on ext2, ext3 and ext4, by debugfs of e2fsprogs: no mount, no root.

Reads what GRUB's own driver does not: newer features, types and links.
"""

import functools
import pathlib
import re

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, limits, tree

_KINDS = {
    'regular': tree.Kind.FILE,
    'directory': tree.Kind.FOLDER,
    'symlink': tree.Kind.LINK,
}
_TYPE = re.compile(r'Type: (\S+)')
_SIZE = re.compile(r'\bSize: (\d+)')
_FAST = re.compile(r'^Fast link dest: "(.*)"$', re.M)


class ExtTree:
    """One ext file system in a raw image.

    :param image: raw.
    :param offset_bytes: where the file system begins.
    """

    def __init__(self, image: pathlib.Path, offset_bytes: int) -> None:
        self._device = f'{image}?offset={offset_bytes}'
        self.name = image.name
        self._look = functools.cache(self._stat)

    def entry(self, path: str) -> tree.Entry | None:
        """Return what is at a path, at the end of its links."""
        place = tree.resolve(self._look, path)
        return None if place is None else self._look(place)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        place = self._place(path, tree.Kind.FOLDER)
        if place is None:
            return []
        names = []
        for line in self._ask('ls -p', place).splitlines():
            # /inode/mode/owner/group/name/size/
            parts = line.split('/')
            if len(parts) == 8 and parts[1] != '0':
                names.append(parts[5])
        return sorted(set(names) - {'.', '..', ''})

    def copy(self, path: str, target: pathlib.Path) -> None:
        """Copy a file's content out."""
        place = self._place(path, tree.Kind.FILE)
        if place is None:
            raise FileNotFoundError(path)
        said = self._run(f'dump {quoted(place)} {quoted(str(target))}').stderr
        wrong = said.partition('\n')[2].strip()
        if wrong:
            raise exception.ImageDamaged(
                image=self.name, what=path, why=wrong.splitlines()[0]
            )

    def _place(self, path: str, kind: tree.Kind) -> str | None:
        place = tree.resolve(self._look, path)
        if place is None:
            return None
        found = self._look(place)
        return place if found and found.kind is kind else None

    def _stat(self, path: str) -> tree.Entry | None:
        said = self._ask('stat', path)
        found = _TYPE.search(said)
        if found is None:
            return None
        kind = _KINDS.get(found[1], tree.Kind.OTHER)
        size = _SIZE.search(said)
        length = int(size[1]) if size else 0
        if kind is not tree.Kind.LINK:
            return tree.Entry(kind, length)
        fast = _FAST.search(said)
        target = fast[1] if fast else self._ask('cat', path)
        return tree.Entry(kind, length, target)

    def _ask(self, command: str, path: str) -> str:
        return self._run(f'{command} {quoted(path)}').stdout

    def _run(self, request: str) -> process.Completed:
        try:
            # -c: bitmaps are not needed, and may be broken.
            return process.run(
                ['debugfs', '-c', '-R', request, self._device],
                timeout_s=limits.READ_S,
                limits=limits.READER,
            )
        except common_exception.ZsbmError as exc:
            raise exception.ImageDamaged(
                image=self.name, what='an ext file system', why=str(exc)
            ) from exc


def quoted(path: str) -> str:
    """Return a path as one word of a debugfs request.

    :raises PathTooTricky: it has a line break, which cannot be quoted.
    """
    if re.search(r'[\x00-\x1f]', path):
        raise exception.PathTooTricky(
            path=repr(path), why='it has control characters'
        )
    doubled = path.replace('"', '""')
    return f'"{doubled}"'
