# SPDX-License-Identifier: Apache-2.0
"""Where boot loaders and kernels come from that an image does not have.

Asked only for what is needed: on a host it is fetched then, and kept.
"""

import pathlib
from collections.abc import Callable
from typing import Protocol

from zsbm_ironic.common import artifacts
from zsbm_ironic.image import exception, kits, loaders


class Supplies(Protocol):
    """What an image may need that it does not have."""

    def loaders(self) -> loaders.Loaders:
        """Return boot loaders."""

    def kit(self, identifier: str, architecture: str) -> kits.Kit | None:
        """Return the kernel for an OS, None where nobody has one."""


class Fetched:
    """From the distributions' mirrors, by way of a cache."""

    def __init__(self, cache: artifacts.Artifacts) -> None:
        self._cache = cache

    def loaders(self) -> loaders.Loaders:
        """Return boot loaders, fetched first where they are not there."""
        return loaders.fetch(self._cache)

    def kit(self, identifier: str, architecture: str) -> kits.Kit | None:
        """Return a kernel, fetched first where it is not there."""
        if not kits.known(identifier, architecture):
            return None
        return kits.build(self._cache, identifier, architecture)


class Installed:
    """What the deploy ramdisk has: boot loaders; a kernel comes to it.

    :param kit_of: gives the kit of an OS and architecture, None where it
        was given none.
    """

    def __init__(self, kit_of: Callable[[str, str], kits.Kit | None]) -> None:
        self._kit_of = kit_of

    def loaders(self) -> loaders.Loaders:
        """Return boot loaders."""
        return loaders.Loaders(pathlib.Path('/'))

    def kit(self, identifier: str, architecture: str) -> kits.Kit | None:
        """Return a kernel.

        :raises KitMissing: there is one, and not here.
        """
        if not kits.known(identifier, architecture):
            return None
        found = self._kit_of(identifier, architecture)
        if found is None:
            raise exception.KitMissing(
                identifier=identifier,
                architecture=architecture,
                name=kits.name_of(identifier),
            )
        return found
