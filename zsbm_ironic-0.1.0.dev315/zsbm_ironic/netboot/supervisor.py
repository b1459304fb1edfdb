# SPDX-License-Identifier: Apache-2.0
"""Keeps one program running: starts it, starts it again, stops it.

Called by the service's main loop, once for dnsmasq and once for nginx. What
the program prints is handed to a callback from a thread of its own. The
program gets SIGTERM from the kernel when the service dies, however it dies;
what a program that was killed leaves behind is killed by process group.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from zsbm_ironic.common import process

LOG = logging.getLogger(__name__)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
# Having run that long, a program is held to be well again.
WELL_AFTER_S = 60.0
# nginx tries for 2.5 s to get its port before it gives up.
PROVEN_AFTER_S = 4.0
STOP_TIMEOUT_S = 5.0
LAST_WORDS = 5


class Child:
    """One program that is to run as long as the service does.

    :param name: how logs call it.
    :param argv: program and arguments; it has to stay in the foreground.
    :param on_line: called with each line that it prints.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        on_line: Callable[[str, float], None],
    ) -> None:
        self.name = name
        self.problem = ''
        self._argv = tuple(argv)
        self._on_line = on_line
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._started = 0.0
        self._next_start = 0.0
        self._delay_s = FIRST_DELAY_S
        self._words: list[str] = []

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    @property
    def failing(self) -> bool:
        """Whether it ended by itself and has not proved well since."""
        young = time.monotonic() - self._started < PROVEN_AFTER_S
        return bool(self.problem) and (self.pid is None or young)

    def look_after(self) -> bool:
        """Start the program if it does not run and its delay is over.

        :returns: whether it was started just now.
        """
        now = time.monotonic()
        if self._process is not None:
            if self._process.poll() is None:
                if now - self._started > WELL_AFTER_S:
                    self._delay_s, self.problem = FIRST_DELAY_S, ''
                return False
            self._bury(now)
        if now < self._next_start:
            return False
        self._start(now)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def restart(self) -> None:
        """Stop the program, so that it is started when next looked after."""
        self.stop()
        self._next_start = 0.0

    def stop(self) -> None:
        """End the program and all that it started."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            LOG.warning('%s did not stop: killed.', self.name)
        self._kill_group()
        self._process.wait()
        self._join()
        self._process = None

    def _start(self, now: float) -> None:
        self._words = []
        self._process = process.start_supervised(self._argv)
        self._started = now
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), daemon=True
        )
        self._reader.start()
        LOG.info('%s started with pid %d.', self.name, self._process.pid)

    def _bury(self, now: float) -> None:
        if self._process is None:
            return
        self._kill_group()
        self._join()
        status = self._process.returncode
        self._process = None
        self._next_start = now + self._delay_s
        self.problem = (
            f'{self.name} ended with status {status} and is started again '
            f'in {self._delay_s:.0f} s: {" | ".join(self._words)}'
        )
        LOG.error('%s', self.problem)
        self._delay_s = min(self._delay_s * 2, LONGEST_DELAY_S)

    def _kill_group(self) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def _join(self) -> None:
        if self._reader is not None:
            self._reader.join(STOP_TIMEOUT_S)

    def _read(self, own: subprocess.Popen[bytes]) -> None:
        if own.stdout is None:
            return
        with own.stdout as stream:
            for raw in stream:
                line = raw.decode(errors='replace').rstrip('\n')
                self._words = [*self._words[1 - LAST_WORDS :], line]
                self._on_line(line, time.time())
