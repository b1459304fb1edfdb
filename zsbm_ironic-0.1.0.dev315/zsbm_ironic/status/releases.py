# SPDX-License-Identifier: Apache-2.0
"""The releases that this version was made for and is tested with.

The table in the documentation is made from it; a test holds it against the
package's own metadata.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Supported:
    """One component.

    :ivar first: oldest version that is supported.
    :ivar below: first version that is not.
    :ivar tested: versions that our own tests run with.
    """

    name: str
    first: tuple[int, ...]
    below: tuple[int, ...]
    tested: tuple[str, ...]

    def includes(self, version: str) -> bool:
        """Say whether a version is in the supported range."""
        numbers = tuple(map(int, re.findall(r'\d+', version)[:3]))
        return self.first <= numbers < self.below

    @property
    def span(self) -> str:
        """The range in words."""
        first = '.'.join(map(str, self.first))
        below = '.'.join(map(str, self.below))
        return f'{first} and newer, below {below}'


IRONIC = Supported('ironic', (39, 0, 0), (40,), ('39.0.0',))
AGENT = Supported('ironic-python-agent', (13, 0, 0), (14,), ('13.0.0',))
PYTHON = Supported('Python', (3, 11), (3, 14), ('3.11',))

COMPONENTS = (IRONIC, AGENT, PYTHON)
