# SPDX-License-Identifier: Apache-2.0
"""Says on stderr which step of a long job runs and how long each took.

Used where a person waits for minutes: builders of images, fetchers of
loaders. Owns no state beyond the stream that it writes to.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO


class Progress:
    """Prints one line when a step starts and one when it ended.

    :param stream: where the lines go; None: standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._started_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line with the seconds since this object was made."""
        elapsed_s = time.monotonic() - self._started_s
        print(
            f'[{elapsed_s:6.1f} s] {text}',
            file=self._stream or sys.stderr,
            flush=True,
        )

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce `name`, run the block, and tell how long it took."""
        self.say(f'{name} ...')
        began_s = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(f'{name}: failed')
            raise
        self.say(f'{name}: {time.monotonic() - began_s:.1f} s')
