# SPDX-License-Identifier: Apache-2.0
"""What is in an initramfs: its modules and its marks, without unpacking it.

An initramfs is one or more cpio archives ("newc"), each plain or compressed,
with zeros between them (Documentation/driver-api/early-userspace/
buffer-format.rst of the kernel). Decompressors of Python's library and of
Debian's packages, all bounded: 1 KiB may say that it is 1 TiB.
"""

import bz2
import dataclasses
import io
import lzma
import pathlib
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, frames, limits, modules

MOST_BYTES = 1 << 30
MOST_FILES = 200_000
_MAGIC = (b'070701', b'070702')
_HEADER = 110
_TRAILER = 'TRAILER!!!'
_CHUNK = 1 << 20
_PROGRAMS = {
    frames.ZSTD: ('zstd', '-q', '-d', '-f', '-M128MB', '-o'),
    frames.LZ4: ('lz4', '-q', '-d', '-f'),
}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


# First bytes of the formats that the kernel unpacks (lib/decompress.c).
_PYTHON: dict[bytes, Callable[[], _Decompressor]] = {
    b'\x1f\x8b': lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    b'\xfd7zXZ\x00': lzma.LZMADecompressor,
    b'\x5d\x00\x00': lzma.LZMADecompressor,
    b'BZh': bz2.BZ2Decompressor,
}


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an initramfs has in it.

    :ivar names: of all files.
    :ivar modules: names of kernel modules, by kernel release.
    """

    names: frozenset[str]
    modules: dict[str, frozenset[str]]

    def has(self, release: str, module: str) -> bool:
        """Return whether it has a module for a kernel."""
        return module in self.modules.get(release, frozenset())


def contents(path: pathlib.Path) -> Contents:
    """Read an initramfs.

    :raises ImageDamaged: it is none, or breaks off.
    """
    names: set[str] = set()
    found: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in _names(path, pathlib.Path(folder)):
            names.add(name)
            parts = pathlib.PurePosixPath(name).parts
            if '.ko' not in name or 'modules' not in parts:
                continue
            place = parts.index('modules') + 1
            if place < len(parts):
                module = modules.name_of(name)
                found.setdefault(parts[place], set()).add(module)
    return Contents(
        frozenset(names),
        {release: frozenset(some) for release, some in found.items()},
    )


def _names(path: pathlib.Path, folder: pathlib.Path) -> Iterator[str]:
    with path.open('rb') as source:
        while True:
            begin = _skip_zeros(source)
            head = source.read(6)
            source.seek(begin)
            if not head:
                return
            if head in _MAGIC:
                yield from _archive(source, path.name)
                continue
            plain = folder / 'plain'
            rest = _decompress(source, head, plain, path.name)
            with plain.open('rb') as part:
                while _skip_zeros(part) < plain.stat().st_size:
                    yield from _archive(part, path.name)
            source.seek(rest)


def _skip_zeros(source: BinaryIO) -> int:
    while True:
        begin = source.tell()
        block = source.read(4096)
        text = block.lstrip(b'\0')
        if text or not block:
            place = begin + len(block) - len(text)
            source.seek(place)
            return place


def _decompress(
    source: BinaryIO, head: bytes, target: pathlib.Path, name: str
) -> int:
    """Unpack one compressed part; return where the next begins."""
    for magic, make in _PYTHON.items():
        if head.startswith(magic):
            return _by_python(make(), source, target, name)
    for magic, words in _PROGRAMS.items():
        if head.startswith(magic):
            return _by_program(words, source, target, name)
    raise _damaged(name, f'no format that a kernel knows begins {head!r}')


def _by_python(
    unpacker: _Decompressor, source: BinaryIO, target: pathlib.Path, name: str
) -> int:
    written = 0
    try:
        with target.open('wb') as sink:
            data = source.read(_CHUNK)
            while not unpacker.eof:
                plain = unpacker.decompress(data, _CHUNK)
                written += sink.write(plain)
                if written > MOST_BYTES:
                    raise _damaged(name, f'more than {MOST_BYTES} bytes')
                data = getattr(unpacker, 'unconsumed_tail', b'')
                if not data and not unpacker.eof:
                    if getattr(unpacker, 'needs_input', True):
                        data = source.read(_CHUNK)
                        if not data and not plain:
                            raise _damaged(name, 'it breaks off')
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as exc:
        raise _damaged(name, str(exc)) from exc
    return source.tell() - len(unpacker.unused_data)


def _by_program(
    words: tuple[str, ...], source: BinaryIO, target: pathlib.Path, name: str
) -> int:
    packed = target.with_name('packed')
    try:
        end = frames.end_of(source)
    except EOFError as exc:
        raise _damaged(name, str(exc)) from exc
    left = end - source.tell()
    with packed.open('wb') as sink:
        while block := source.read(min(_CHUNK, left)):
            left -= sink.write(block)
    if words[-1] == '-o':
        argv = [*words, str(target), str(packed)]
    else:
        argv = [*words, str(packed), str(target)]
    try:
        process.run(
            argv,
            timeout_s=limits.READ_S,
            limits=dataclasses.replace(limits.READER, file_bytes=MOST_BYTES),
        )
    except common_exception.ProcessFailed as exc:
        raise _damaged(name, str(exc.fields['stderr']) or str(exc)) from exc
    return end


def _archive(source: BinaryIO, name: str) -> Iterator[str]:
    """Yield the names of one archive; stand behind its trailer then."""
    for _ in range(MOST_FILES):
        header = source.read(_HEADER)
        if len(header) < _HEADER or header[:6] not in _MAGIC:
            raise _damaged(name, 'it breaks off')
        try:
            size, length = int(header[54:62], 16), int(header[94:102], 16)
        except ValueError as exc:
            raise _damaged(name, 'a header has no numbers') from exc
        # The name follows the header, both padded to 4 bytes.
        raw = source.read(length + (-(_HEADER + length) % 4))[:length]
        entry = raw.rstrip(b'\0').decode(errors='replace')
        source.seek(size + (-size % 4), io.SEEK_CUR)
        if entry == _TRAILER:
            return
        yield entry.removeprefix('./').lstrip('/')
    raise _damaged(name, f'more than {MOST_FILES} files')


def _damaged(name: str, why: str) -> exception.ImageDamaged:
    return exception.ImageDamaged(image=name, what='the initramfs', why=why)
