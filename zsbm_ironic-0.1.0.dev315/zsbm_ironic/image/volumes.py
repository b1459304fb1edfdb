# SPDX-License-Identifier: Apache-2.0
"""Partitions and logical volumes of a raw disk, and what is on each.

By sfdisk and blkid of util-linux and grub-fstest, on a plain file: no device,
no mount, no root.
"""

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, ext, grub_tree, limits, tree

SECTOR = 512
#: Kind, start in bytes and GRUB's name of a volume -> its file system.
Opener = Callable[[str, int | None, str], tree.Tree | None]
# UEFI 2.10, table 5-6; the byte is that of an MBR.
ESP_TYPES = frozenset({'c12a7328-f81f-11d2-ba4b-00a0c93ec93b', 'ef'})
BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649'
# Bytes of an MBR's partitions that hold partitions.
EXTENDED = frozenset({'5', 'f', '85'})
Table = dict[str, Any]
_EXT = frozenset({'ext2', 'ext3', 'ext4'})
_BY_GRUB = frozenset({'xfs', 'btrfs', 'vfat'})
_LVM = re.compile(r'\((lvm/[^)]+)\)')
_FACTS = re.compile(r'Filesystem type (\S+).*?UUID ([0-9A-Za-z-]+)', re.S)


@dataclasses.dataclass(frozen=True)
class Volume:
    """One partition or logical volume.

    :ivar name: for messages, for example `partition 1`.
    :ivar kind: as blkid names it: ext4, crypto_LUKS, ...; '' is nothing.
    :ivar part_type: GUID or byte, lower case; '' for a logical volume.
    :ivar start_bytes: on the disk; None for a logical volume.
    :ivar grub: GRUB's name of it.
    :ivar opener: reads its file system; None, or what it has no answer to:
        from user space.
    """

    image: pathlib.Path
    name: str
    kind: str
    uuid: str
    label: str
    part_uuid: str
    part_type: str
    start_bytes: int | None
    grub: str
    opener: Opener | None = dataclasses.field(default=None, compare=False)

    def files(self) -> tree.Tree | None:
        """Return its file system, None where nothing here reads it."""
        if self.opener is not None:
            files = self.opener(self.kind, self.start_bytes, self.grub)
            if files is not None:
                return files
        if self.kind in _EXT and self.start_bytes is not None:
            return ext.ExtTree(self.image, self.start_bytes)
        if self.kind in _BY_GRUB or self.kind in _EXT:
            return grub_tree.GrubTree(self.image, self.grub)
        return None


@dataclasses.dataclass(frozen=True)
class Disk:
    """A raw disk.

    :ivar image: a file, or a block device.
    :ivar table: gpt, dos, or '' where a file system is on the disk itself.
    """

    image: pathlib.Path
    size_bytes: int
    table: str
    volumes: tuple[Volume, ...]

    def esp(self) -> Volume | None:
        """Return the EFI system partition."""
        return next(
            (one for one in self.volumes if one.part_type in ESP_TYPES), None
        )

    def bios_boot(self) -> Volume | None:
        """Return the partition that GRUB for BIOS needs on a GPT."""
        return next(
            (one for one in self.volumes if one.part_type == BIOS_BOOT), None
        )


def read(image: pathlib.Path, opener: Opener | None = None) -> Disk:
    """Read what is on a raw disk.

    :param opener: reads file systems; None: from user space.
    :raises ImageDamaged: the table contradicts itself.
    """
    size = size_of(image)
    facts = _probe(image, 0, size)
    if facts.get('PTTYPE') not in ('gpt', 'dos') or 'TYPE' in facts:
        whole = _volume(image, 'the whole disk', facts, 'loop0', 0)
        return Disk(image, size, '', _with(opener, [whole]))
    whole_table = table(image)
    label = {'gpt': 'gpt', 'dos': 'msdos'}[whole_table['label']]
    sector = int(whole_table.get('sectorsize', SECTOR))
    volumes = []
    for entry in whole_table.get('partitions', ()):
        place = number(whole_table, entry)
        if place is None or entry['type'] in EXTENDED:
            continue
        if whole_table['label'] == 'dos':
            # As the kernel makes it of the disk's signature.
            signature = whole_table['id'].removeprefix('0x')
            entry['uuid'] = f'{signature}-{place:02x}'
        start, length = entry['start'] * sector, entry['size'] * sector
        volumes.append(
            _volume(
                image,
                f'partition {place}',
                _probe(image, start, length),
                f'loop0,{label}{place}',
                start,
                entry,
            )
        )
    if any(one.kind == 'LVM2_member' for one in volumes):
        volumes += _logical(image)
    return Disk(image, size, whole_table['label'], _with(opener, volumes))


def _with(opener: Opener | None, some: list[Volume]) -> tuple[Volume, ...]:
    return tuple(dataclasses.replace(one, opener=opener) for one in some)


def size_of(image: pathlib.Path) -> int:
    """Return the bytes of a file or a block device."""
    with image.open('rb') as source:
        return source.seek(0, os.SEEK_END)


def table(image: pathlib.Path) -> Table:
    """Return the partition table as sfdisk prints it.

    :raises ImageDamaged: it contradicts itself.
    """
    try:
        done = process.run(
            ['sfdisk', '--json', image],
            timeout_s=limits.READ_S,
            limits=limits.READER,
        )
        found: Table = json.loads(done.stdout)['partitiontable']
    except (common_exception.ZsbmError, ValueError, KeyError) as exc:
        raise exception.ImageDamaged(
            image=image.name, what='the partition table', why=str(exc)
        ) from exc
    return found


def number(whole: Table, entry: Table) -> int | None:
    """Return N of the name that sfdisk gives to a partition."""
    match = re.search(r'\d+$', entry['node'][len(whole['device']) :])
    return int(match[0]) if match else None


def _probe(image: pathlib.Path, start: int, size: int) -> dict[str, str]:
    done = process.run(
        ['blkid', '--probe', '--output', 'export']
        + ['--offset', str(start), '--size', str(size), image],
        timeout_s=limits.READ_S,
        limits=limits.READER,
        # 2: nothing is there; 8: it could be several things.
        check=False,
    )
    lines = (line.partition('=') for line in done.stdout.splitlines())
    return {name: value for name, equal, value in lines if equal}


def _volume(
    image: pathlib.Path,
    name: str,
    facts: dict[str, str],
    grub: str,
    start: int | None,
    entry: Mapping[str, Any] = MappingProxyType({}),
) -> Volume:
    return Volume(
        image=image,
        name=name,
        kind=facts.get('TYPE', ''),
        uuid=facts.get('UUID', ''),
        label=facts.get('LABEL', ''),
        part_uuid=entry.get('uuid', '').lower(),
        part_type=entry.get('type', '').lower(),
        start_bytes=start,
        grub=grub,
    )


def _logical(image: pathlib.Path) -> list[Volume]:
    found = []
    said = grub_tree.run(image, 'ls').stdout
    for name in sorted(set(_LVM.findall(said))):
        facts = _FACTS.search(
            grub_tree.run(image, 'ls', '--', '-l', f'({name})').stdout
        )
        kind = facts[1].replace('ext*', 'ext4') if facts else ''
        fields = {'TYPE': kind, 'UUID': facts[2] if facts else ''}
        found.append(
            _volume(
                image,
                f'logical volume {name.removeprefix("lvm/")}',
                fields,
                name,
                None,
            )
        )
    return found
