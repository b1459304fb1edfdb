# SPDX-License-Identifier: Apache-2.0
"""A service of OpenStack on loopback: its WSGI application under cheroot."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import requests

from tests import bmcs

STARTING_S = 180
POLL_S = 0.2
SERVER = pathlib.Path(__file__).with_name('wsgi_server.py')


class Service:
    """One process with a folder and a port of its own.

    :ivar root: its folder; goes with `remove`.
    :ivar url: its address.
    :ivar bin: where its programs are: another environment for other code.
    """

    def __init__(self, name, environment=sys.prefix):
        self._name = name
        self.bin = pathlib.Path(environment, 'bin')
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f'zsbm-{name}-'))
        self._port = bmcs.free_port()
        self.url = f'http://{bmcs.ADDRESS}:{self._port}'

    def manage(self, *words, **more):
        """Run a program of the service.

        :param more: variables of its environment.
        :raises RuntimeError: it failed, with the end of what it said.
        """
        done = subprocess.run(
            [self.bin / words[0], *words[1:]],
            capture_output=True,
            text=True,
            timeout=STARTING_S,
            check=False,
            env={**os.environ, **more},
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])

    def serve(self, module, path, **more):
        """Start it, and wait until it answers.

        :param module: has the application.
        :param path: below its address, what it answers well.
        :param more: variables of its environment.
        :raises TimeoutError: it does not, with the end of its log.
        """
        with (self.root / 'out').open('wb') as out:
            self._process = subprocess.Popen(
                [self.bin / 'python', SERVER]
                + [bmcs.ADDRESS, str(self._port), module],
                stdout=out,
                stderr=out,
                env={**os.environ, **more},
                start_new_session=True,
            )
        deadline = time.monotonic() + STARTING_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f'{self.url}{path}', timeout=5).ok:
                    return
            time.sleep(POLL_S)
        log = (self.root / 'out').read_text(errors='replace')
        raise TimeoutError(f'{self._name} did not start:\n{log[-3000:]}')

    def remove(self):
        """End it and delete its folder."""
        with contextlib.suppress(AttributeError, ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        shutil.rmtree(self.root, ignore_errors=True)
