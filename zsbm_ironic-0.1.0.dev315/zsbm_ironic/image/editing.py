# SPDX-License-Identifier: Apache-2.0
"""Changes of an operating system, made and noted one by one.

Handed to whatever mends one thing of an image; what was noted is the report.
"""

import dataclasses
import pathlib
import tempfile

from zsbm_ironic.image import exception, system, tree


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing that was changed.

    :ivar key: for programs, stays the same from release to release.
    :ivar what: for people.
    :ivar why: what would be without it.
    """

    key: str
    what: str
    why: str


class Editing:
    """The files of one OS.

    :ivar changes: what was done, in its order.
    """

    def __init__(self, found: system.System) -> None:
        self._found = found
        self.changes: list[Change] = []

    def note(self, key: str, what: str, why: str) -> None:
        """Add a line to the report."""
        self.changes.append(Change(key, what, why))

    def write(self, path: str, source: pathlib.Path) -> None:
        """Put a file's content at a path of the OS.

        :raises NoRoom: its file system is full.
        :raises MountNeeded: its file system wants a mount.
        """
        below, files = self._editor(path)
        files.write(below, source)

    def write_tree(self, path: str, source: pathlib.Path) -> None:
        """Put a folder of plain files at a new path; raises as `write`."""
        below, files = self._editor(path)
        files.write_tree(below, source)

    def check(self, path: str) -> None:
        """Raise MountNeeded where `write` would."""
        self._editor(path)

    def _editor(self, path: str) -> tuple[str, tree.Editor]:
        point, below = self._found.files.place(path)
        place = self._found.places[point]
        if not isinstance(place.files, tree.Editor):
            raise exception.MountNeeded(
                image=self._found.files.name,
                what=f'the file system of {point}',
                why=f'{place.volume.kind} on {place.volume.name} is not '
                'written to without a mount',
            )
        return below, place.files

    def write_text(self, path: str, text: str) -> None:
        """Put a text at a path of the OS; raises as `write`."""
        self.write_bytes(path, text.encode())

    def write_bytes(self, path: str, data: bytes) -> None:
        """Put bytes at a path of the OS; raises as `write`."""
        with tempfile.NamedTemporaryFile() as copy:
            copy.write(data)
            copy.flush()
            self.write(path, pathlib.Path(copy.name))
