# SPDX-License-Identifier: Apache-2.0
"""Makes room on a raw disk for what its firmware starts.

The table is written anew by sfdisk, as GPT: partitions keep their numbers,
and nothing of their content is touched. GRUB's core for BIOS is between table
and first partition, where a disk of an MBR has it too. An EFI system partition
is never right behind another: the last one may grow to the end of the disk
that an image is written to. In a file all others move up for it; a disk that
is written already has it at its end.
"""

import dataclasses
import os
import pathlib
import re
import struct
from collections.abc import Sequence

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, limits, part_files, volumes

MIB = 1 << 20
ESP_MIB = 64
# Label of the file system that a deploy gives settings in.
CONFIG_DRIVE = 'config-2'
# For the backup of the table, at the end.
_END_MIB = 1
_SECTORS_PER_MIB = MIB // volumes.SECTOR
ESP = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B'
# A GPT is 34 sectors at each end: protective MBR, header, 128 entries.
FIRST_SECTOR = 34
# Places in an MBR: those of the entries, and the last one they can name.
_MBR_ENTRIES = 446
_MOST_OF_AN_MBR = 1 << 32
# GRUB's core is about 200 sectors.
_LEAST_CORE_SECTORS = 400
_DATA = '0FC63DAF-8483-4772-8E79-3D69D8477DE4'
_WINDOWS_DATA = 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7'
# Bytes of an MBR and what a GPT has for them (UEFI 2.10, table 5-6; the
# Discoverable Partitions Specification).
_TYPES = {
    '6': _WINDOWS_DATA,
    '7': _WINDOWS_DATA,
    'b': _WINDOWS_DATA,
    'c': _WINDOWS_DATA,
    'e': _WINDOWS_DATA,
    '82': '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F',
    '8e': 'E6D6D379-F507-44C2-A23C-238F2A3DF928',
    'ef': ESP,
    'fd': 'A19D880F-05FC-4D3B-A006-743F0F84911E',
}


@dataclasses.dataclass(frozen=True)
class Room:
    """Where things may be put, in sectors of 512 bytes.

    :ivar esp: start of the new EFI system partition, 0 without one.
    :ivar core: start of the place for GRUB's core, 0 without one.
    """

    esp: int = 0
    core: int = 0


@dataclasses.dataclass(frozen=True)
class _Line:
    """One partition of the new table."""

    number: int
    start: int
    size: int
    kind: str
    rest: str = ''


def gap(disk: volumes.Disk) -> int:
    """Return the sectors that are free before the first partition."""
    starts = [
        one.start_bytes for one in disk.volumes if one.start_bytes is not None
    ]
    return min(starts, default=0) // volumes.SECTOR - FIRST_SECTOR


def primaries(disk: volumes.Disk) -> int:
    """Return how many partitions are in the table itself, not in another."""
    table = volumes.table(disk.image)
    numbers = [
        volumes.number(table, entry) for entry in table.get('partitions', ())
    ]
    return sum(number is not None and number <= 4 for number in numbers)


def make_room(disk: volumes.Disk, *, esp: bool, core: bool) -> Room:
    """Write the table anew and return what is free in it.

    :param esp: add an EFI system partition.
    :param core: add a partition for GRUB's core.
    :raises NotEditable: it cannot be, or there is no table at all.
    :raises NoRoom: no place for it on the disk.
    """
    if not disk.table:
        raise _not_editable(disk, 'it has a file system instead of one')
    table = volumes.table(disk.image)
    lines = _lines(disk, table)
    number = max((line.number for line in lines), default=0)
    room = Room()
    first = FIRST_SECTOR + (_LEAST_CORE_SECTORS if core else 0)
    if esp:
        room = Room(esp=_esp_place(disk, lines, first))
        size = ESP_MIB * _SECTORS_PER_MIB
        lines.append(_Line(number + 1 + core, room.esp, size, ESP))
    if core:
        free = min(line.start for line in lines) - FIRST_SECTOR
        if free < _LEAST_CORE_SECTORS:
            raise _not_editable(
                disk, f'{free} free sectors before its first partition'
            )
        room = dataclasses.replace(room, core=FIRST_SECTOR)
        kind = volumes.BIOS_BOOT.upper()
        lines.append(_Line(number + 1, FIRST_SECTOR, free, kind))
    _write(disk, table, lines)
    return room


def make_way(raw: pathlib.Path) -> None:
    """Have room in a file for the EFI system partition of `make_room`.

    Before its first partition, which moves up with all that is behind it, but
    for GRUB's core for BIOS, which knows its own place. At the end where it
    cannot be there.

    :raises ImageDamaged: the table contradicts itself.
    :raises NotEditable: it cannot be written.
    """
    disk = volumes.read(raw)
    # A whole MiB begins in it wherever it is.
    length = (ESP_MIB + 1) * _SECTORS_PER_MIB
    table = volumes.table(raw) if disk.table else {}
    place = _first_that_moves(table.get('partitions', ()))
    end = disk.size_bytes // volumes.SECTOR + length
    if place is None or (disk.table == 'dos' and end > _MOST_OF_AN_MBR):
        _grow(raw)
        return
    lines = [
        dataclasses.replace(line, start=line.start + length)
        if line.start >= place
        else line
        for line in _lines(disk, table)
    ]
    _insert(raw, place * volumes.SECTOR, length * volumes.SECTOR)
    if disk.table == 'gpt':
        _write(disk, table, lines)
    else:
        _move_in_mbr(raw, place, length)


def _first_that_moves(entries: Sequence[volumes.Table]) -> int | None:
    """Return the first sector that may move, of those that a table has."""
    core_end = max(
        (
            entry['start'] + entry['size']
            for entry in entries
            if entry['type'].lower() == volumes.BIOS_BOOT
        ),
        default=0,
    )
    return min(
        (entry['start'] for entry in entries if entry['start'] >= core_end),
        default=None,
    )


def _insert(raw: pathlib.Path, place: int, length: int) -> None:
    """Put zeros into a file; at once where its file system can, as ext4."""
    done = process.run(
        ['fallocate', '--insert-range', '--offset', str(place)]
        + ['--length', str(length), raw],
        timeout_s=limits.WRITE_S,
        check=False,
    )
    if done.returncode == 0:
        return
    longer = raw.with_name(f'{raw.name}.longer')
    with longer.open('wb') as sink:
        sink.truncate(volumes.size_of(raw) + length)
    part_files.copy_sparse(raw, longer, 0, end=place)
    part_files.copy_sparse(raw, longer, length, begin=place)
    longer.replace(raw)


def _move_in_mbr(raw: pathlib.Path, place: int, length: int) -> None:
    """Add to the places of an MBR; those in an extended one are relative."""
    with raw.open('r+b') as sink:
        for number in range(4):
            entry = _MBR_ENTRIES + number * 16 + 8
            sink.seek(entry)
            (start,) = struct.unpack('<I', sink.read(4))
            if start >= place:
                sink.seek(entry)
                sink.write(struct.pack('<I', start + length))


def _grow(raw: pathlib.Path) -> None:
    with raw.open('r+b') as sink:
        end = sink.seek(0, os.SEEK_END)
        sink.truncate(-(-end // MIB) * MIB + (ESP_MIB + _END_MIB) * MIB)


def _esp_place(disk: volumes.Disk, lines: list[_Line], first: int) -> int:
    """Return a place that is free, before a partition if there is one.

    Else the last one of the disk: what is before it may grow. Only a config
    drive is behind it, which a deploy puts at the very end.

    :param first: sector that is free, if no partition has it.
    """
    size = ESP_MIB * _SECTORS_PER_MIB
    used = first
    for line in sorted(lines, key=lambda line: line.start):
        start = (line.start - size) // _SECTORS_PER_MIB * _SECTORS_PER_MIB
        if start >= used:
            return start
        used = max(used, line.start + line.size)
    sectors = disk.size_bytes // volumes.SECTOR
    end = min(
        _config_drives(disk), default=sectors - _END_MIB * _SECTORS_PER_MIB
    )
    start = (end // _SECTORS_PER_MIB - ESP_MIB) * _SECTORS_PER_MIB
    used = max(
        (line.start + line.size for line in lines if line.start < end),
        default=0,
    )
    if start < used:
        raise exception.NoRoom(
            image=disk.image.name,
            where='the disk',
            free_kib=max(end - used, 0) // 2,
            what='an EFI system partition',
            needed_kib=ESP_MIB << 10,
        )
    return start


def _config_drives(disk: volumes.Disk) -> set[int]:
    """Return the first sectors of config drives."""
    return {
        one.start_bytes // volumes.SECTOR
        for one in disk.volumes
        if one.label.lower() == CONFIG_DRIVE and one.start_bytes
    }


def _lines(disk: volumes.Disk, table: volumes.Table) -> list[_Line]:
    found = []
    # A deploy puts a config drive where the backup of a GPT is to be; it
    # fills a small part of its 64 MiB.
    last = disk.size_bytes // volumes.SECTOR - FIRST_SECTOR
    drives = _config_drives(disk)
    for entry in table.get('partitions', ()):
        number = volumes.number(table, entry)
        kind = entry['type'].lower()
        if number is None or kind in volumes.EXTENDED:
            continue
        rest = ''
        if disk.table == 'gpt':
            rest = ''.join(
                f', {name}="{_plain(disk, entry[name])}"'
                for name in ('uuid', 'name', 'attrs')
                if entry.get(name)
            )
        else:
            kind = _TYPES.get(kind, _DATA)
        start, size = entry['start'], entry['size']
        if start in drives:
            size = min(size, last - start + 1)
        found.append(_Line(number, start, size, kind, rest))
    return found


def _plain(disk: volumes.Disk, text: str) -> str:
    if re.search(r'[\x00-\x1f"\\]', text):
        raise _not_editable(disk, f'a name in it, {text!r}')
    return text


def _write(
    disk: volumes.Disk, table: volumes.Table, lines: list[_Line]
) -> None:
    words = ['label: gpt', 'unit: sectors', f'first-lba: {FIRST_SECTOR}']
    if disk.table == 'gpt':
        words.insert(1, f'label-id: {table["id"]}')
    words += [
        f'{line.number} : start={line.start}, size={line.size}, '
        f'type={line.kind}{line.rest}'
        for line in lines
    ]
    try:
        process.run(
            ['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel']
            + ['--wipe=never', '--wipe-partitions=never', str(disk.image)],
            timeout_s=limits.WRITE_S,
            limits=limits.READER,
            stdin='\n'.join(words) + '\n',
        )
    except common_exception.ProcessFailed as exc:
        raise _not_editable(disk, str(exc.fields['stderr'])) from exc


def _not_editable(disk: volumes.Disk, why: str) -> exception.NotEditable:
    return exception.NotEditable(
        image=disk.image.name, what='the partition table', why=why.rstrip('.')
    )
