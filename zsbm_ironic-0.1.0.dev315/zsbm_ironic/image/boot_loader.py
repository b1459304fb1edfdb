# SPDX-License-Identifier: Apache-2.0
"""Makes the firmware of a server find the boot menu of an image.

On UEFI by \\EFI\\BOOT, which needs no entry in the firmware's memory; on BIOS
by GRUB's core. A disk that gets a new table keeps its way to boot, so that
the image still starts as the VM that it was.
"""

import pathlib
import tempfile
from collections.abc import Iterator, Mapping

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import (
    bios_grub,
    editing,
    exception,
    firmware_files,
    hardware,
    limits,
    menu,
    part_files,
    partitions,
    supplies,
    system,
    tree,
    volumes,
)

# Keys of the changes after which the partition table may be another.
TABLE_CHANGES = frozenset({'gpt', 'esp', 'bios-loader'})
# Suffix of the loaders' names by architecture.
_SUFFIX = {'x86_64': 'x64', 'aarch64': 'aa64'}


def needs_esp(found: system.System, wanted: hardware.Hardware) -> bool:
    """Return whether a disk gets an EFI system partition."""
    return (
        wanted.firmware is hardware.Firmware.UEFI and found.disk.esp() is None
    )


def needs_table(found: system.System, wanted: hardware.Hardware) -> bool:
    """Return whether a disk of an MBR gets a GPT."""
    return found.disk.table == 'dos' and needs_esp(found, wanted)


def mend(
    found: system.System,
    wanted: hardware.Hardware,
    image: editing.Editing,
    have: supplies.Supplies,
) -> None:
    """Add what the firmware needs and the disk has not.

    :raises NotEditable: no room for it on the disk.
    """
    if wanted.firmware is hardware.Firmware.UEFI:
        _uefi(found, wanted, image, have)
    elif not firmware_files.has_bios_loader(found.disk):
        _bios(found, image, have)


def to_gpt(
    found: system.System, image: editing.Editing, have: supplies.Supplies
) -> None:
    """Give a disk of an MBR a GPT; BIOS boots it as before.

    :raises NotEditable: no room for GRUB's core between table and first
        partition.
    """
    core = firmware_files.has_bios_loader(found.disk)
    room = partitions.make_room(found.disk, esp=False, core=core)
    _note_gpt(image, 'an MBR has no room for another partition')
    if core:
        _embed(found, image, have, room.core)


def _note_gpt(image: editing.Editing, why: str) -> None:
    image.note(
        'gpt',
        'the partition table is a GPT; partitions keep their numbers',
        why,
    )


def _bios(
    found: system.System, image: editing.Editing, have: supplies.Supplies
) -> None:
    disk = found.disk
    if disk.table == 'gpt':
        place = disk.bios_boot()
        if place is not None and place.start_bytes is not None:
            sector = place.start_bytes // volumes.SECTOR
        else:
            sector = partitions.make_room(disk, esp=False, core=True).core
    else:
        sector = 1
    _embed(found, image, have, sector)


def _embed(
    found: system.System,
    image: editing.Editing,
    have: supplies.Supplies,
    sector: int,
) -> None:
    uuid, folder = _menu(found)
    grub = have.loaders().bios
    core = bios_grub.core_image(
        grub,
        f"search.fs_uuid {uuid} root\nset prefix=($root)'{folder}'\n",
    )
    if sector == 1 and bios_grub.sectors_of(core) > partitions.gap(found.disk):
        raise exception.NotEditable(
            image=found.disk.image.name,
            what='the boot loader for BIOS',
            why='its first partition begins too early',
        )
    boot = (grub / 'boot.img').read_bytes()
    bios_grub.embed(found.disk.image, boot, core, sector)
    image.note(
        'bios-loader',
        f'GRUB for BIOS is on the disk and reads {folder}/grub.cfg',
        'BIOS starts nothing else',
    )


def _uefi(
    found: system.System,
    wanted: hardware.Hardware,
    image: editing.Editing,
    have: supplies.Supplies,
) -> None:
    esp = found.disk.esp()
    if esp is None:
        _add_esp(found, wanted, image, have)
        return
    files = esp.files()
    if (
        files is None
        or esp.start_bytes is None
        or firmware_files.has_fallback(files, wanted.architecture)
    ):
        return
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        content = _own(files, wanted.architecture, work)
        said = 'the loader of the image'
        if not content:
            content = _ours(found, wanted, have, work)
            said = 'shim and GRUB'
        _copy(found.disk.image, esp.start_bytes, content)
    image.note(
        'fallback-loader',
        f'\\EFI\\BOOT has {said}',
        'an entry in the memory of a VM does not come along',
    )


def _add_esp(
    found: system.System,
    wanted: hardware.Hardware,
    image: editing.Editing,
    have: supplies.Supplies,
) -> None:
    disk = found.disk
    was_mbr = disk.table == 'dos'
    core = was_mbr and firmware_files.has_bios_loader(disk)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        content = _ours(found, wanted, have, work)
        room = partitions.make_room(disk, esp=True, core=core)
        if was_mbr:
            _note_gpt(image, 'an MBR has no room for an EFI system partition')
        if room.core:
            _embed(found, image, have, room.core)
        part = part_files.make_esp(content, work / 'esp', partitions.ESP_MIB)
        part_files.copy_sparse(part, disk.image, room.esp * volumes.SECTOR)
    image.note(
        'esp',
        'an EFI system partition with shim and GRUB is new',
        'UEFI starts nothing else',
    )


def _own(
    esp: tree.Tree, architecture: str, work: pathlib.Path
) -> dict[str, pathlib.Path]:
    """Return what a distribution has on its ESP, as \\EFI\\BOOT.

    All of one folder, because GRUB looks for its settings beside itself; shim
    under the name that firmware starts.
    """
    suffix = _SUFFIX[architecture]
    fallback = firmware_files.FALLBACK[architecture]
    for folder in firmware_files.vendors(esp):
        names = {name.lower(): name for name in esp.names(folder)}
        first = names.get(f'shim{suffix}.efi') or names.get(
            f'grub{suffix}.efi'
        )
        if first is None:
            continue
        content = {}
        for name in names.values():
            entry = esp.entry(f'{folder}/{name}')
            if entry is None or entry.kind is not tree.Kind.FILE:
                continue
            copy = work / name
            esp.copy(f'{folder}/{name}', copy)
            content[f'EFI/BOOT/{fallback if name == first else name}'] = copy
        return content
    return {}


def _ours(
    found: system.System,
    wanted: hardware.Hardware,
    have: supplies.Supplies,
    work: pathlib.Path,
) -> dict[str, pathlib.Path]:
    own = have.loaders().uefi(wanted.architecture)
    if not own:
        raise exception.NotEditable(
            image=found.disk.image.name,
            what='the EFI system partition',
            why=f'there is no loader for {wanted.architecture} here',
        )
    suffix = _SUFFIX[wanted.architecture]
    uuid, place = _menu(found)
    pointer = work / 'grub.cfg'
    pointer.write_text(
        f'search --no-floppy --fs-uuid --set=root {uuid}\n'
        f"set prefix=($root)'{place}'\n"
        'configfile $prefix/grub.cfg\n'
    )
    boot = 'EFI/BOOT'
    fallback = firmware_files.FALLBACK[wanted.architecture]
    return {
        f'{boot}/{fallback}': own[f'shim{suffix}.efi'],
        f'{boot}/grub{suffix}.efi': own[f'grub{suffix}.efi'],
        f'{boot}/mm{suffix}.efi': own[f'mm{suffix}.efi'],
        # Where Debian's signed GRUB looks.
        'EFI/debian/grub.cfg': pointer,
    }


def _menu(found: system.System) -> tuple[str, str]:
    """Return the UUID of the file system with GRUB's menu, and its folder."""
    for path in menu.GRUB:
        if tree.exists(found.files, path):
            place, below = found.place(path)
            return place.volume.uuid, str(pathlib.PurePosixPath(below).parent)
    raise exception.NotEditable(
        image=found.disk.image.name,
        what='the boot loader',
        why='it has no grub.cfg that another GRUB could read',
    )


def _copy(
    image: pathlib.Path,
    start_bytes: int,
    content: Mapping[str, pathlib.Path],
) -> None:
    """Copy files into the FAT at a place of a disk."""
    target = f'{image}@@{start_bytes}'
    for folder in dict.fromkeys(_parents(content)):
        # One that is there, in whatever case, is no error.
        process.run(
            ['mmd', '-i', target, '-D', 's', f'::{folder}'],
            timeout_s=limits.WRITE_S,
            limits=limits.READER,
            check=False,
        )
    for name, source in content.items():
        try:
            process.run(
                ['mcopy', '-o', '-i', target, source, f'::{name}'],
                timeout_s=limits.WRITE_S,
                limits=limits.READER,
            )
        except common_exception.ProcessFailed as exc:
            raise exception.NotEditable(
                image=image.name,
                what='the EFI system partition',
                why=str(exc.fields['stderr']).rstrip('.'),
            ) from exc


def _parents(content: Mapping[str, pathlib.Path]) -> Iterator[str]:
    for name in content:
        for folder in reversed(pathlib.PurePosixPath(name).parents[:-1]):
            yield str(folder)
