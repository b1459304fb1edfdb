# SPDX-License-Identifier: Apache-2.0
"""Adapts a disk as the deploy ramdisk does, and says what it took.

python -m benchmarks.adapting CACHE KITS DEVICE HARDWARE, where KITS is the
JSON of `served_kits.source`. Prints seconds, CPU seconds and the largest
memory in bytes, as JSON. Loading Python is not in the seconds: the agent has
done it long before.
"""

import contextlib
import json
import pathlib
import resource
import sys
import time
from collections.abc import Callable

from ironic_python_agent import config

from zsbm_ironic.common import artifacts
from zsbm_ironic.image import adapt, hardware, kits, loaders, supplies
from zsbm_ironic.ramdisk import served_kits


class Supplies(supplies.Installed):
    """Kits that are served, and boot loaders of a cache, not of a ramdisk."""

    def __init__(
        self,
        cache: artifacts.Artifacts,
        kit_of: Callable[[str, str], kits.Kit | None],
    ) -> None:
        super().__init__(kit_of)
        self._cache = cache

    def loaders(self) -> loaders.Loaders:
        """Return boot loaders."""
        return loaders.fetch(self._cache)


def main() -> None:
    """Adapt one disk."""
    config.populate_config()
    cache, served, device, name = sys.argv[1:]
    before_s = _cpu_s()
    began_s = time.monotonic()
    with contextlib.ExitStack() as end:
        adapt.adapt(
            pathlib.Path(device),
            [hardware.of(name)],
            Supplies(
                artifacts.Artifacts(pathlib.Path(cache)),
                served_kits.source(json.loads(served), end),
            ),
            mount=True,
            hostname='server-1',
        )
    seconds = time.monotonic() - began_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([round(seconds, 2), _cpu_s() - before_s, peak]))


def _cpu_s() -> float:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(
        one.ru_utime + one.ru_stime for one in map(resource.getrusage, both)
    )


if __name__ == '__main__':
    main()
