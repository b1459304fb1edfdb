# SPDX-License-Identifier: Apache-2.0
"""Files of an image: what every way of reading them offers.

A tree is one file system. Paths begin at its root and use `/`; `..` and
absolute links stay below it, as in a chroot. `resolve` is that rule, for the
trees that see symbolic links.
"""

import dataclasses
import enum
import pathlib
import tempfile
import typing
from collections.abc import Callable
from typing import Protocol

from zsbm_ironic.image import exception

# As path_resolution(7) of Linux.
MOST_LINKS = 40
# What is read into memory at once: text that a person wrote.
TEXT_BYTES = 8 << 20


class Kind(enum.Enum):
    """What a name stands for."""

    FILE = 'file'
    FOLDER = 'folder'
    LINK = 'link'
    OTHER = 'other'


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is at a path.

    :ivar size_bytes: of a file.
    :ivar target: of a link.
    """

    kind: Kind
    size_bytes: int = 0
    target: str = ''


class Tree(Protocol):
    """A file system that is read.

    :ivar name: of the image, for messages.
    """

    @property
    def name(self) -> str: ...

    def entry(self, path: str) -> Entry | None:
        """Return what is at a path; links are followed, None is nothing."""

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted; none where it is no folder."""

    def copy(self, path: str, target: pathlib.Path) -> None:
        """Copy a file's content out.

        :raises FileNotFoundError: no file is there.
        """


@typing.runtime_checkable
class WithSubvolumes(Tree, Protocol):
    """A file system whose root may be a folder of it.

    :ivar prefix: that folder, without a slash at its end; '' for the top.
    """

    prefix: str

    def below(self, prefix: str) -> Tree:
        """Return the same file system with a folder as its root."""


@typing.runtime_checkable
class Editor(Tree, Protocol):
    """A file system that is changed."""

    def write(self, path: str, source: pathlib.Path) -> None:
        """Put a file's content at a path.

        A file that is there keeps its owner and mode; a new one is root's,
        0644. Folders on the way are made, 0755.

        :raises NoRoom: the file system is full; it is as it was before.
        :raises NotEditable: nothing here changes this file system.
        """

    def write_tree(self, path: str, source: pathlib.Path) -> None:
        """Put files and folders below a new folder; raises as `write`.

        :param source: a folder of plain files and folders.
        """


def text(tree: Tree, path: str) -> str:
    """Return a small file's text, '' where it is not there.

    :raises ImageDamaged: larger than TEXT_BYTES.
    """
    found = tree.entry(path)
    if found is None or found.kind is not Kind.FILE:
        return ''
    if found.size_bytes > TEXT_BYTES:
        raise exception.ImageDamaged(
            image=tree.name,
            what=path,
            why=f'{found.size_bytes} bytes are more than such a file has',
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, 'copy')
        tree.copy(path, copy)
        return copy.read_text(errors='replace')


def exists(tree: Tree, path: str) -> bool:
    """Return whether something is at a path."""
    return tree.entry(path) is not None


def resolve(look: Callable[[str], Entry | None], path: str) -> str | None:
    """Follow a path to its end, link by link, without leaving the root.

    :param look: what is at a path whose parents are no links; links are not
        followed.
    :returns: a path without links; None where nothing is there.
    :raises PathTooTricky: more than MOST_LINKS links.
    """
    waiting = list(reversed(pathlib.PurePosixPath(path).parts))
    done: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part in ('/', '//', '.'):
            continue
        if part == '..':
            del done[-1:]
            continue
        here = '/' + '/'.join([*done, part])
        found = look(here)
        if found is None:
            return None
        if found.kind is not Kind.LINK:
            done.append(part)
            continue
        links += 1
        if links > MOST_LINKS:
            raise exception.PathTooTricky(
                path=path, why=f'more than {MOST_LINKS} symbolic links'
            )
        target = pathlib.PurePosixPath(found.target)
        if target.is_absolute():
            done.clear()
        waiting += reversed(target.parts)
    return '/' + '/'.join(done)
