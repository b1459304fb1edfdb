# SPDX-License-Identifier: Apache-2.0
"""The files of an OS that lie on several file systems, as one tree.

Joined as the image's own fstab would mount them; no link leads from one file
system into another.
"""

import pathlib
from collections.abc import Mapping

from zsbm_ironic.image import tree


class JoinedTree:
    """Several trees under one root.

    :param mounts: tree by mount point; has `/`.
    """

    def __init__(self, mounts: Mapping[str, tree.Tree]) -> None:
        self.name = mounts['/'].name
        self.mounts = dict(
            sorted(mounts.items(), key=lambda one: len(one[0]), reverse=True)
        )

    def entry(self, path: str) -> tree.Entry | None:
        """Return what is at a path."""
        files, place = self._place(path)
        return files.entry(place)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        files, place = self._place(path)
        return files.names(place)

    def copy(self, path: str, target: pathlib.Path) -> None:
        """Copy a file's content out."""
        files, place = self._place(path)
        files.copy(place, target)

    def _place(self, path: str) -> tuple[tree.Tree, str]:
        whole = pathlib.PurePosixPath('/', path)
        for point, files in self.mounts.items():
            if whole.is_relative_to(point):
                return files, str('/' / whole.relative_to(point))
        raise FileNotFoundError(path)
