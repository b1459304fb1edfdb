# SPDX-License-Identifier: Apache-2.0
"""Partitions and logical volumes of a raw disk, and what is on each.

By sfdisk and blkid of util-linux and grub-fstest, on a plain file: no device,
no mount, no root.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, ext, grub_tree, limits, tree

SECTOR = 512
# UEFI 2.10, table 5-6; the byte is that of an MBR.
ESP_TYPES = frozenset({'c12a7328-f81f-11d2-ba4b-00a0c93ec93b', 'ef'})
BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649'
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

    def files(self) -> tree.Tree | None:
        """Return its file system, None where nothing here reads it."""
        if self.kind in _EXT and self.start_bytes is not None:
            return ext.ExtTree(self.image, self.start_bytes)
        if self.kind in _BY_GRUB or self.kind in _EXT:
            return grub_tree.GrubTree(self.image, self.grub)
        return None


@dataclasses.dataclass(frozen=True)
class Disk:
    """A raw disk.

    :ivar table: gpt, dos, or '' where a file system is on the disk itself.
    """

    image: pathlib.Path
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


def read(image: pathlib.Path) -> Disk:
    """Read what is on a raw disk.

    :raises ImageDamaged: the table contradicts itself.
    """
    facts = _probe(image, 0, image.stat().st_size)
    if facts.get('PTTYPE') not in ('gpt', 'dos') or 'TYPE' in facts:
        whole = _volume(image, 'the whole disk', facts, 'loop0', 0)
        return Disk(image, '', (whole,))
    table = _table(image)
    label = {'gpt': 'gpt', 'dos': 'msdos'}[table['label']]
    sector = int(table.get('sectorsize', SECTOR))
    volumes = []
    for entry in table.get('partitions', ()):
        number = re.search(r'\d+$', entry['node'][len(table['device']) :])
        if number is None or entry['type'] in ('5', 'f', '85'):
            continue
        start, size = entry['start'] * sector, entry['size'] * sector
        volumes.append(
            _volume(
                image,
                f'partition {number[0]}',
                _probe(image, start, size),
                f'loop0,{label}{number[0]}',
                start,
                entry,
            )
        )
    if any(one.kind == 'LVM2_member' for one in volumes):
        volumes += _logical(image)
    return Disk(image, table['label'], tuple(volumes))


def _table(image: pathlib.Path) -> dict[str, Any]:
    try:
        done = process.run(
            ['sfdisk', '--json', image],
            timeout_s=limits.READ_S,
            limits=limits.READER,
        )
        table: dict[str, Any] = json.loads(done.stdout)['partitiontable']
    except (common_exception.ZsbmError, ValueError, KeyError) as exc:
        raise exception.ImageDamaged(
            image=image.name, what='the partition table', why=str(exc)
        ) from exc
    return table


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
