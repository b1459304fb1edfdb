# SPDX-License-Identifier: Apache-2.0
"""An image file, checked before any program opens it, as a raw disk.

What a format can hide from its reader is refused: backing and data files,
subformats that name other files, sizes that no disk has. The format is found
by oslo.utils' inspector and told to qemu-img each time, which else would
believe what the image says of itself (CVE-2024-32498).
"""

import contextlib
import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, limits

# As qemu-img and the inspector name them.
FORMATS = {
    'raw': 'raw',
    'gpt': 'raw',
    'qcow2': 'qcow2',
    'vmdk': 'vmdk',
    'vhdx': 'vhdx',
    'vhd': 'vpc',
    'vdi': 'vdi',
}
# A sparse file may say that it is larger than any disk.
MOST_BYTES = 16 << 40


@dataclasses.dataclass(frozen=True)
class Source:
    """An image that may be opened.

    :ivar format: as qemu-img names it.
    :ivar virtual_bytes: size of the disk in it.
    """

    path: pathlib.Path
    format: str
    virtual_bytes: int


def inspect(path: pathlib.Path) -> Source:
    """Look at an image file without opening what is in it.

    :raises ImageUnreadable: no image, or one that may not be opened.
    """
    try:
        found = format_inspector.detect_file_format(str(path))
        name = str(found)
        if name not in FORMATS:
            raise _unreadable(
                path, f'format {name} is none of {", ".join(sorted(FORMATS))}'
            )
        found.safety_check()
        size = found.virtual_size
    except OSError as exc:
        raise _unreadable(path, exc.strerror or str(exc)) from exc
    except format_inspector.SafetyCheckFailed as exc:
        raise _unreadable(
            path,
            f'it may not be opened ({", ".join(exc.failures)}); qemu-img '
            'convert makes a plain copy of an image that you trust',
        ) from exc
    except format_inspector.ImageFormatError as exc:
        raise _unreadable(path, str(exc)) from exc
    source = Source(path, FORMATS[name], size)
    if source.format != 'raw':
        size = _told(source)
    if not 512 <= size <= MOST_BYTES:
        raise _unreadable(path, f'a disk of {size} bytes is no disk')
    return dataclasses.replace(source, virtual_bytes=size)


@contextlib.contextmanager
def opened(source: Source) -> Iterator[pathlib.Path]:
    """Give raw access: the file itself, or a sparse copy while it is needed.

    :raises ImageUnreadable: qemu-img cannot read it.
    """
    if source.format == 'raw':
        yield source.path
        return
    with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
        raw = pathlib.Path(folder, source.path.name)
        copy(source, raw)
        yield raw


def copy(source: Source, raw: pathlib.Path) -> None:
    """Write a sparse raw copy of an image.

    :raises ImageUnreadable: qemu-img cannot read it.
    """
    try:
        process.run(
            ['qemu-img', 'convert', '-q', '-f', source.format]
            + ['-O', 'raw', '-t', 'writeback', str(source.path), str(raw)],
            timeout_s=limits.CONVERT_S,
            limits=limits.CONVERTER,
        )
    except common_exception.ZsbmError as exc:
        raise _unreadable(source.path, str(exc)) from exc


def _told(source: Source) -> int:
    """Return the size that qemu-img reads; refuse what it must not say."""
    try:
        done = process.run(
            ['qemu-img', 'info', '-f', source.format, '--output=json']
            + [source.path],
            timeout_s=limits.READ_S,
            limits=limits.READER,
        )
        facts = json.loads(done.stdout)
        size = int(facts['virtual-size'])
    except (common_exception.ZsbmError, ValueError, KeyError) as exc:
        raise _unreadable(source.path, str(exc)) from exc
    for key in ('backing-filename', 'full-backing-filename'):
        if facts.get(key):
            raise _unreadable(source.path, 'it has a backing file')
    data = facts.get('format-specific', {}).get('data', {})
    if data.get('data-file'):
        raise _unreadable(source.path, 'its data are in another file')
    if facts.get('encrypted'):
        raise _unreadable(source.path, 'it is encrypted')
    return size


def _unreadable(path: pathlib.Path, why: str) -> exception.ImageUnreadable:
    return exception.ImageUnreadable(image=path, why=why.rstrip('.'))
