# SPDX-License-Identifier: Apache-2.0
"""File systems that are made as files of their own, and put on a disk.

Called by the conversion and by the lab's images; no device and no mount.
"""

import os
import pathlib
from collections.abc import Mapping

from zsbm_ironic.common import process

MIB = 1 << 20


def make_esp(
    files: Mapping[str, pathlib.Path],
    part: pathlib.Path,
    size_mib: int,
    serial: int | None = None,
) -> pathlib.Path:
    """Write an EFI partition with these files and return its path.

    :param files: by their path there.
    :param serial: 32 bits that fstab knows the file system by.
    """
    with part.open('wb') as sink:
        sink.truncate(size_mib * MIB)
    named = [] if serial is None else ['-N', f'{serial:08x}']
    process.run(
        ['mformat', '-i', part, '-v', 'ESP', *named, '::'], timeout_s=60
    )
    folders = {
        folder
        for name in files
        for folder in pathlib.PurePosixPath(name).parents[:-1]
    }
    for folder in sorted(folders):
        process.run(['mmd', '-i', part, f'::{folder}'], timeout_s=60)
    for name, source in files.items():
        process.run(['mcopy', '-i', part, source, f'::{name}'], timeout_s=60)
    return part


def copy_sparse(
    source: pathlib.Path,
    target: pathlib.Path,
    offset: int,
    begin: int = 0,
    end: int | None = None,
) -> None:
    """Copy `source` into `target` at an offset; holes stay holes.

    :param begin: what is before it in `source` is left out.
    :param end: so is what is from there on; None leaves out nothing.
    """
    with source.open('rb') as reader, target.open('r+b') as writer:
        place = begin
        size = source.stat().st_size if end is None else end
        while place < size:
            try:
                place = os.lseek(reader.fileno(), place, os.SEEK_DATA)
            except OSError:  # no data after this place
                return
            hole = min(os.lseek(reader.fileno(), place, os.SEEK_HOLE), size)
            reader.seek(place)
            writer.seek(offset + place)
            while place < hole:
                block = reader.read(min(MIB, hole - place))
                writer.write(block)
                place += len(block)
