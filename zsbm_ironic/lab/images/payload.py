# SPDX-License-Identifier: Apache-2.0
"""Our own package as the ramdisk gets it: the in-band rooms and metadata.

Called by the ramdisk builder. Takes the files from a wheel, or from the
package that runs now, be it installed or a source tree: the same files
either way. Metadata comes along because the agent finds our hardware manager
by entry point and reports the version.
"""

import configparser
import importlib.metadata
import importlib.resources
import pathlib
import zipfile
from collections.abc import Iterator

from zsbm_ironic.common import exception

PACKAGE = 'zsbm_ironic'
DISTRIBUTION = 'zsbm-ironic'
ENTRY_POINTS = 'ironic_python_agent.hardware_managers'
# Rooms of the conductor, its services and the lab: what they import is not
# in the ramdisk.
ROOMS_LEFT_OUT = (
    'bmc',
    'conf',
    'drivers',
    'horizon',
    'lab',
    'machine',
    'monitoring',
    'netboot',
    'network',
    'osc',
    'request',
    'status',
)


def collect(wheel: pathlib.Path | None = None) -> dict[str, bytes]:
    """Return file content by path below the ramdisk's site directory.

    :param wheel: take these files; None: those of the running package.
    :raises BuildFailed: the wheel is not one of this package.
    """
    if wheel:
        return _from_wheel(wheel)
    files = dict(_package_files())
    return files | _metadata(
        importlib.metadata.version(DISTRIBUTION),
        _entry_points(),
    )


def _wanted(name: str) -> bool:
    parts = pathlib.PurePath(name).parts
    return (
        parts[0] == PACKAGE
        and '__pycache__' not in parts
        and not name.endswith('.pyc')
        and parts[1] not in ROOMS_LEFT_OUT
    )


def _package_files() -> Iterator[tuple[str, bytes]]:
    top = pathlib.Path(str(importlib.resources.files(PACKAGE)))
    for path in sorted(top.glob('**/*')):
        name = str(path.relative_to(top.parent))
        if path.is_file() and _wanted(name):
            yield name, path.read_bytes()


def _entry_points() -> dict[str, str]:
    found = importlib.metadata.distribution(DISTRIBUTION).entry_points
    return {
        point.name: point.value for point in found.select(group=ENTRY_POINTS)
    }


def _from_wheel(wheel: pathlib.Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            folder = next(
                name.partition('/')[0]
                for name in names
                if name.startswith(f'{PACKAGE}-') and '.dist-info/' in name
            )
            files = {
                name: archive.read(name)
                for name in names
                if not name.endswith('/') and _wanted(name)
            }
            text = archive.read(f'{folder}/entry_points.txt').decode()
    except (OSError, KeyError, StopIteration, zipfile.BadZipFile) as exc:
        raise exception.BuildFailed(
            what='the deploy ramdisk',
            why=f'{wheel} is no wheel of {DISTRIBUTION}: {exc!r}',
        ) from exc
    version = folder.removesuffix('.dist-info').rpartition('-')[2]
    parser = configparser.ConfigParser(delimiters=('=',))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return files | _metadata(version, dict(parser[ENTRY_POINTS]))


def _metadata(version: str, points: dict[str, str]) -> dict[str, bytes]:
    folder = f'{PACKAGE}-{version}.dist-info'
    lines = [f'[{ENTRY_POINTS}]']
    lines += [f'{name} = {value}' for name, value in sorted(points.items())]
    header = f'Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {version}'
    return {
        f'{folder}/METADATA': f'{header}\n'.encode(),
        f'{folder}/entry_points.txt': ('\n'.join(lines) + '\n').encode(),
    }
