# SPDX-License-Identifier: Apache-2.0
"""Python environments beside ours: the services of the cloud, and others.

Made from a lock file by uv, once for all labs of a host: the versions of one
release of OpenStack exclude those of our own environment in places.
"""

import dataclasses
import importlib.resources
import pathlib
import sys

from zsbm_ironic.common import artifacts, process, progress

KIND = 'cloud-python'
PYTHON = '/usr/bin/python3'
NEEDED_BYTES = 1500 << 20
TIMEOUT_S = 1800
_LOCK = importlib.resources.files('zsbm_ironic.lab.cloud').joinpath(
    'requirements.txt'
)


@dataclasses.dataclass(frozen=True)
class Environment:
    """Where programs are installed.

    :ivar folder: of the environment.
    """

    folder: pathlib.Path

    def program(self, name: str) -> str:
        """Return the path of a program of it."""
        return str(self.folder / 'bin' / name)

    def shipped(self, name: str) -> str:
        """Return the path of a settings file that a service ships."""
        return str(self.folder / 'etc' / name)


def build(cache: artifacts.Artifacts) -> Environment:
    """Return the environment of the services, made where it is missing.

    :raises ProcessFailed: a package cannot be fetched or built.
    """
    return of_lock(cache, KIND, _LOCK.read_bytes(), needs_bytes=NEEDED_BYTES)


def of_lock(
    cache: artifacts.Artifacts, kind: str, lock: bytes, *, needs_bytes: int
) -> Environment:
    """Return an environment with what a lock file names, made where missing.

    :param kind: of entry in the cache.
    :param lock: requirements, each with one version.
    :param needs_bytes: free space without which it is not tried.
    :raises ProcessFailed: a package cannot be fetched or built.
    """
    key = artifacts.digest({'lock': lock, 'code': _own_code()})

    def make(target: pathlib.Path, report: progress.Progress) -> None:
        uv = str(pathlib.Path(sys.executable).parent / 'uv')
        with report.step(f'{kind}: install the packages'):
            process.run(
                [uv, 'venv', '--quiet', '--relocatable']
                + ['--python', PYTHON, str(target)],
                timeout_s=TIMEOUT_S,
            )
            process.run(
                [uv, 'pip', 'install', '--quiet', '--python', str(target)]
                + ['--requirement', '-'],
                timeout_s=TIMEOUT_S,
                stdin=lock.decode(),
            )

    return Environment(cache.get(kind, key, make, needs_bytes=needs_bytes))


def _own_code() -> bytes:
    return pathlib.Path(__file__).read_bytes()
