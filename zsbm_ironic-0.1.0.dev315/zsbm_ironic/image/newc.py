# SPDX-License-Identifier: Apache-2.0
"""Writes initramfs archives: cpio "newc", as the kernel unpacks it.

Called by the ramdisk builder. Everything belongs to root and has one time
stamp, so that the same tree gives the same bytes. The format is that of
Documentation/driver-api/early-userspace/buffer-format.rst of the kernel:
fields of 8 hex digits, names and contents padded to 4 bytes.
"""

import os
import pathlib
import stat
from typing import Protocol

TIMESTAMP = 1_700_000_000
_TRAILER = 'TRAILER!!!'


class Sink(Protocol):
    """Where an archive goes."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""


class Writer:
    """One archive, written to a stream in the order of the calls."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._inode = 0

    def add(self, name: str, mode: int, content: bytes = b'') -> None:
        """Add a file, folder or link; `mode` has its type bits."""
        self._inode += 1
        folder = stat.S_ISDIR(mode)
        self._header(name, mode, self._inode, 2 if folder else 1, content)

    def add_tree(self, root: pathlib.Path) -> None:
        """Add everything below `root` but sockets, pipes and devices.

        The kernel makes /dev.
        """
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(files) + folders:
                path = pathlib.Path(folder, name)
                self._add_path(path, os.fspath(path.relative_to(root)))

    def close(self) -> None:
        """End the archive; the stream stays open."""
        self._header(_TRAILER, 0, 0, 1, b'')

    def _add_path(self, path: pathlib.Path, relative: str) -> None:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            self.add(relative, mode, os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(mode):
            self.add(relative, mode, path.read_bytes())
        elif stat.S_ISDIR(mode):
            self.add(relative, mode)

    def _header(
        self, name: str, mode: int, inode: int, links: int, content: bytes
    ) -> None:
        encoded = os.fsencode(name) + b'\0'
        fields = (
            inode,
            mode,
            0,  # uid
            0,  # gid
            links,
            TIMESTAMP,
            len(content),
            0,  # device numbers of the file and, below, of a device node
            0,
            0,
            0,
            len(encoded),
            0,  # check sum: of newc's sister format only
        )
        header = b'070701' + b''.join(b'%08X' % field for field in fields)
        self._sink.write(_padded(header + encoded))
        self._sink.write(_padded(content))


def _padded(data: bytes) -> bytes:
    return data + b'\0' * (-len(data) % 4)
