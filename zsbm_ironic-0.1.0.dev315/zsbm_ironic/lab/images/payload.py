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
from collections.abc import Iterator, Mapping

from zsbm_ironic.common import exception

PACKAGE = 'zsbm_ironic'
DISTRIBUTION = 'zsbm-ironic'
# Groups of entry points whose names begin so are the agent's.
AGENT = 'ironic_python_agent.'
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

Points = Mapping[str, Mapping[str, str]]


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


def _entry_points() -> Points:
    points: dict[str, dict[str, str]] = {}
    for point in importlib.metadata.distribution(DISTRIBUTION).entry_points:
        if point.group.startswith(AGENT):
            points.setdefault(point.group, {})[point.name] = point.value
    return points


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
    points = {
        group: dict(parser[group])
        for group in parser.sections()
        if group.startswith(AGENT)
    }
    return files | _metadata(version, points)


def _metadata(version: str, points: Points) -> dict[str, bytes]:
    folder = f'{PACKAGE}-{version}.dist-info'
    lines = []
    for group, values in sorted(points.items()):
        lines.append(f'[{group}]')
        lines += [
            f'{name} = {value}' for name, value in sorted(values.items())
        ]
    header = f'Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {version}'
    return {
        f'{folder}/METADATA': f'{header}\n'.encode(),
        f'{folder}/entry_points.txt': ('\n'.join(lines) + '\n').encode(),
    }
