# SPDX-License-Identifier: Apache-2.0
"""A kit as one file: a file system that a kernel mounts as it is.

A server mounts it in its deploy ramdisk, from the HTTP server of its
conductor; a machine that is started for one image has it as a disk. Nothing
is unpacked, so it costs memory once. Beside a file is what says which kernel
it is, and its SHA-256: an OS has one such name, and the file changes.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator

from zsbm_ironic.common import process, whole_file
from zsbm_ironic.image import exception, kits, limits

# A file that is served is read by others than its owner; it has no secret.
_MODE = 0o644
_DIGEST_CHARS = 12
# One that a server is fetching now stays: the newest, and the one before.
_KEPT = 2
_BLOCK_BYTES = 4096
_NAME = re.compile(r'[a-z0-9.]+-[a-z0-9.]+-[a-z0-9_]+')


@dataclasses.dataclass(frozen=True)
class Packed:
    """A kit that is served.

    :ivar file: its name in the folder.
    :ivar sha256: of the file.
    :ivar size_bytes: of the file.
    """

    file: str
    sha256: str
    size_bytes: int


def name_of(identifier: str, architecture: str) -> str:
    """Return what a kit is called, for example debian-12-x86_64."""
    return f'{kits.name_of(identifier)}-{architecture}'


def write(kit: kits.Kit, target: pathlib.Path) -> None:
    """Write a kit's file; needs no root.

    :raises ProcessFailed: it cannot be written.
    """
    files = [path for path in kit.folder.rglob('*') if path.is_file()]
    blocks = sum(-(-path.stat().st_size // _BLOCK_BYTES) for path in files)
    # Inodes, bitmaps and folders are a few hundredths of it.
    size = (blocks * 21 // 20 + 4096) * _BLOCK_BYTES
    with target.open('wb') as sink:
        os.truncate(sink.fileno(), size)
    process.run(
        ['mke2fs', '-q', '-F', '-t', 'ext4', '-O', '^has_journal']
        + ['-m', '0', '-N', str(len(files) * 2 + 64), '-d', str(kit.folder)]
        + [str(target)],
        timeout_s=limits.WRITE_S,
    )


def publish(
    kit: kits.Kit, folder: pathlib.Path, identifier: str, architecture: str
) -> pathlib.Path:
    """Put a kit where it is served; return the file.

    :raises OSError: the folder cannot be written to.
    :raises ProcessFailed: it has no room, for example.
    """
    name = name_of(identifier, architecture)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f'.{name}.', dir=folder)
    os.close(handle)
    try:
        write(kit, pathlib.Path(draft))
        digest = _sha256(pathlib.Path(draft))
        target = folder / f'{name}-{digest[:_DIGEST_CHARS]}.kit'
        os.chmod(draft, _MODE)
        pathlib.Path(draft).replace(target)
    except BaseException:
        pathlib.Path(draft).unlink(missing_ok=True)
        raise
    told = {
        'file': target.name,
        'sha256': digest,
        'size_bytes': target.stat().st_size,
        'release': kit.release,
    }
    whole_file.write(
        folder / f'{name}.json', json.dumps(told, indent=1) + '\n', mode=_MODE
    )
    # The newest by its time, also where it was there before.
    target.touch()
    old = sorted(
        folder.glob(f'{name}-*.kit'), key=lambda path: path.stat().st_mtime
    )
    for path in old[:-_KEPT]:
        path.unlink()
    return target


def served(folder: pathlib.Path) -> dict[str, Packed]:
    """Return what a folder serves, by name; {} where it is not there.

    :raises KitsUnreadable: a file of it is not one of ours.
    """
    found = {}
    for path in sorted(folder.glob('*.json')):
        try:
            data = json.loads(path.read_text())
            packed = Packed(
                str(data['file']),
                str(data['sha256']),
                int(data['size_bytes']),
            )
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise exception.KitsUnreadable(path=path, why=exc) from exc
        if _NAME.fullmatch(path.stem):
            found[path.stem] = packed
    return found


@contextlib.contextmanager
def mounted(file: pathlib.Path) -> Iterator[kits.Kit]:
    """Give a kit from its file, or from a disk; mounted until the end."""
    with tempfile.TemporaryDirectory(prefix='zsbm-kit-') as name:
        options = 'ro,nosuid,nodev,noexec'
        if file.is_file():
            options += ',loop'
        process.run(
            ['mount', '-t', 'ext4', '-o', options, file, name],
            timeout_s=limits.WRITE_S,
        )
        try:
            yield kits.read(pathlib.Path(name))
        finally:
            process.run(['umount', name], timeout_s=limits.WRITE_S)


def _sha256(path: pathlib.Path) -> str:
    with path.open('rb') as source:
        return hashlib.file_digest(source, 'sha256').hexdigest()
