# SPDX-License-Identifier: Apache-2.0
"""Where compressed data end that have something else behind them.

An initramfs may be several archives in one file, and the programs that unpack
zstd and lz4 take what follows for damage. Only lengths are read here: RFC 8878
(zstd, sections 3.1.1 and 3.1.2) and lz4_Frame_format.md (its legacy frame, the
one that the kernel knows).
"""

from collections.abc import Callable, Mapping
from typing import BinaryIO

ZSTD = b'\x28\xb5\x2f\xfd'
LZ4 = b'\x02\x21\x4c\x18'
_ZSTD_SKIPPABLE = b'\x2a\x4d\x18'
# A legacy block unpacks to 8 MiB at most; what cannot shrink grows a little.
_LZ4_BLOCK_BYTES = (8 << 20) + (8 << 20) // 255 + 16


def end_of(source: BinaryIO) -> int:
    """Return where the frames end that begin here; the place is kept.

    :raises EOFError: they break off.
    """
    begin = source.tell()
    head = source.read(4)
    while skip := _SKIP.get(head) or (
        _skippable if head[1:] == _ZSTD_SKIPPABLE else None
    ):
        skip(source)
        end = source.tell()
        head = source.read(4)
        source.seek(end + len(head))
    source.seek(begin)
    return end


def _zstd(source: BinaryIO) -> None:
    descriptor = _number(source, 1)
    single = descriptor >> 5 & 1
    sizes = (single, 2, 4, 8)
    dictionaries = (0, 1, 2, 4)
    _pass(
        source,
        (0 if single else 1)
        + dictionaries[descriptor & 3]
        + sizes[descriptor >> 6],
    )
    last = 0
    while not last:
        header = _number(source, 3)
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        _pass(source, 1 if kind == 1 else size)
    if descriptor >> 2 & 1:
        _pass(source, 4)


def _skippable(source: BinaryIO) -> None:
    _pass(source, _number(source, 4))


def _lz4(source: BinaryIO) -> None:
    """Pass the blocks; a size that none can have is what comes next."""
    while True:
        place = source.tell()
        field = source.read(4)
        size = int.from_bytes(field, 'little')
        if len(field) < 4 or not 0 < size <= _LZ4_BLOCK_BYTES:
            source.seek(place)
            return
        _pass(source, size)


_SKIP: Mapping[bytes, Callable[[BinaryIO], None]] = {ZSTD: _zstd, LZ4: _lz4}


def _number(source: BinaryIO, length: int) -> int:
    data = source.read(length)
    if len(data) < length:
        raise EOFError('it breaks off')
    return int.from_bytes(data, 'little')


def _pass(source: BinaryIO, length: int) -> None:
    if length:
        source.seek(length - 1, 1)
        _number(source, 1)
