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
        point, below = self.place(path)
        return self.mounts[point].entry(below)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        point, below = self.place(path)
        return self.mounts[point].names(below)

    def copy(self, path: str, target: pathlib.Path) -> None:
        """Copy a file's content out."""
        point, below = self.place(path)
        self.mounts[point].copy(below, target)

    def place(self, path: str) -> tuple[str, str]:
        """Return the mount point of a path, and the path below it."""
        whole = pathlib.PurePosixPath('/', path)
        point = next(one for one in self.mounts if whole.is_relative_to(one))
        return point, str('/' / whole.relative_to(point))
