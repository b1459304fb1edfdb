# SPDX-License-Identifier: Apache-2.0
"""Say what long work is doing, and how long each part took.

Called by `up`, `down` and the demo. Writes to standard error, so that what a
command prints for scripts stays clean.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO


class Progress:
    """Prints one line per part of the work, with its seconds."""

    def __init__(self, sink: TextIO = sys.stderr) -> None:
        self._sink = sink
        self._began = time.monotonic()

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Print `name`, do the work, and print how long it took."""
        began = time.monotonic()
        self._sink.write(f'{name:<44s} ... ')
        self._sink.flush()
        try:
            yield
        except BaseException:
            self._sink.write('failed\n')
            raise
        self._sink.write(f'{time.monotonic() - began:6.1f} s\n')
        self._sink.flush()

    def say(self, text: str) -> None:
        """Print one line of its own."""
        self._sink.write(text + '\n')
        self._sink.flush()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began
