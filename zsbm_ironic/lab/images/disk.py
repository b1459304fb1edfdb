# SPDX-License-Identifier: Apache-2.0
"""A bootable disk from a folder: GPT, GRUB for BIOS and UEFI, one root.

Called by the OS image builder. Writes into plain files only, so that neither
loop devices nor mounts are needed: `mke2fs -d` fills the root, mtools the
EFI partition, and GRUB's two first sectors are linked to each other here, as
grub-bios-setup does it on a device.
"""

import os
import pathlib
import struct
import uuid
from collections.abc import Callable, Mapping

from zsbm_ironic.common import apt, process

SECTOR = 512
MIB = 1 << 20
BIOS_BOOT_MIB = 1
ESP_MIB = 16
# UEFI 2.10, table 5-6, and the Discoverable Partitions Specification.
_TYPES = {
    'bios': '21686148-6449-6E6F-744E-656564454649',
    'esp': 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
    'root': '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709',
}
# What GRUB 2.06 reads: newer e2fsprogs turn on more.
EXT4_FEATURES = '^orphan_file,^metadata_csum_seed'
_GRUB_MODULES = (
    'biosdisk part_gpt ext2 normal linux configfile search search_fs_uuid '
    'echo test serial terminal minicmd reboot halt ls cat'
).split()

# Offsets in GRUB's boot.img and diskboot.img (include/grub/i386/pc/boot.h).
_BOOT_CODE_BYTES = 440
_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_BLOCKLIST = SECTOR - 12
_KERNEL_SEGMENT = 0x820
_NOP_NOP = b'\x90\x90'


def check_tools(what: str) -> None:
    """Make sure that every program is there before minutes are spent.

    :raises ToolMissing: names the Debian package.
    """
    for tool, package in (
        ('mke2fs', 'e2fsprogs'),
        ('mformat', 'mtools'),
        ('sfdisk', 'fdisk'),
        ('qemu-img', 'qemu-utils'),
        ('zstd', 'zstd'),
        ('tar', 'tar'),
    ):
        apt.require(tool, package, what)


def assemble(
    image: pathlib.Path,
    root: pathlib.Path,
    root_uuid: uuid.UUID,
    esp: Mapping[str, pathlib.Path],
    work: pathlib.Path,
    prune: Callable[[pathlib.Path], int],
) -> int:
    """Write a raw disk image.

    :param root: becomes the root file system; has GRUB's packages in it.
    :param root_uuid: of the root file system.
    :param esp: files of the EFI partition, by their path there.
    :param work: folder for parts.
    :param prune: removes GRUB's packages and the like from the root once
        they are not needed any more; returns the size of its partition, MiB.
    :returns: size of the disk in bytes.
    """
    core = _grub_core(root, root_uuid)
    boot = (root / 'usr/lib/grub/i386-pc/boot.img').read_bytes()
    root_mib = prune(root)
    first_mib = 1
    esp_mib = first_mib + BIOS_BOOT_MIB
    start_mib = esp_mib + ESP_MIB
    # The last MiB is for the backup table.
    size_bytes = (start_mib + root_mib + 1) * MIB
    with image.open('wb') as sink:
        sink.truncate(size_bytes)
    _partition(
        image,
        ((first_mib, BIOS_BOOT_MIB, 'bios'), (esp_mib, ESP_MIB, 'esp'))
        + ((start_mib, root_mib, 'root'),),
    )
    parts = (
        (make_esp(esp, work / 'esp.img'), esp_mib),
        (_root(root, root_uuid, root_mib, work / 'root.img'), start_mib),
    )
    for part, place_mib in parts:
        copy_sparse(part, image, place_mib * MIB)
        part.unlink()
    embed(image, boot, core, first_mib * MIB // SECTOR)
    return size_bytes


def embed(
    image: pathlib.Path, boot: bytes, core: bytes, core_sector: int
) -> None:
    """Write GRUB's first sector and its core, and link them by sector.

    :param boot: boot.img; its partition table area is left alone.
    :param core: core.img, for the BIOS boot partition.
    :param core_sector: where that partition starts.
    """
    first = bytearray(boot[:_BOOT_CODE_BYTES])
    struct.pack_into('<Q', first, _KERNEL_SECTOR, core_sector)
    # Some BIOSes hand over a wrong drive number: GRUB takes 0x80 for disks.
    first[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _NOP_NOP
    sectors = -(-len(core) // SECTOR)
    second = bytearray(core.ljust(sectors * SECTOR, b'\0'))
    struct.pack_into(
        '<QHH',
        second,
        _BLOCKLIST,
        core_sector + 1,
        sectors - 1,
        _KERNEL_SEGMENT,
    )
    with image.open('r+b') as sink:
        sink.write(first)
        sink.seek(core_sector * SECTOR)
        sink.write(second)


def _grub_core(root: pathlib.Path, root_uuid: uuid.UUID) -> bytes:
    early = root / 'early.cfg'
    early.write_text(
        f'search.fs_uuid {root_uuid} root\nset prefix=($root)/boot/grub\n'
    )
    process.run(
        ['chroot', str(root), 'grub-mkimage', '-O', 'i386-pc', '-o', '/core']
        + ['-p', '/boot/grub', '-c', '/early.cfg', *_GRUB_MODULES],
        timeout_s=60,
        env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'},
    )
    core = root / 'core'
    content = core.read_bytes()
    core.unlink()
    early.unlink()
    return content


def _partition(
    image: pathlib.Path, parts: tuple[tuple[int, int, str], ...]
) -> None:
    lines = ['label: gpt', 'unit: sectors']
    for start_mib, size_mib, kind in parts:
        start, size = (mib * MIB // SECTOR for mib in (start_mib, size_mib))
        lines.append(
            f'start={start}, size={size}, type={_TYPES[kind]}, name="{kind}"'
        )
    process.run(
        ['sfdisk', '--quiet', '--no-reread', image],
        timeout_s=60,
        stdin='\n'.join(lines) + '\n',
    )


def make_esp(
    files: Mapping[str, pathlib.Path],
    part: pathlib.Path,
    size_mib: int = ESP_MIB,
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


def _root(
    root: pathlib.Path,
    root_uuid: uuid.UUID,
    root_mib: int,
    part: pathlib.Path,
) -> pathlib.Path:
    process.run(
        [
            'mke2fs',
            '-q',
            '-F',
            '-t',
            'ext4',
            '-b',
            '4096',
            '-O',
            EXT4_FEATURES,
        ]
        + ['-U', str(root_uuid), '-L', 'root', '-m', '1', '-d', str(root)]
        + ['-E', 'lazy_itable_init=1', str(part), f'{root_mib}M'],
        timeout_s=300,
    )
    return part


def copy_sparse(
    source: pathlib.Path, target: pathlib.Path, offset: int
) -> None:
    """Copy `source` into `target` at an offset; holes stay holes."""
    with source.open('rb') as reader, target.open('r+b') as writer:
        place, size = 0, source.stat().st_size
        while place < size:
            try:
                place = os.lseek(reader.fileno(), place, os.SEEK_DATA)
            except OSError:  # no data after this place
                return
            end = os.lseek(reader.fileno(), place, os.SEEK_HOLE)
            reader.seek(place)
            writer.seek(offset + place)
            while place < end:
                block = reader.read(min(MIB, end - place))
                writer.write(block)
                place += len(block)


def used_mib(root: pathlib.Path) -> int:
    """Return what a folder takes in blocks of 4 KiB, in MiB."""
    blocks = 0
    for folder, folders, files in os.walk(root):
        for name in files + folders:
            path = os.path.join(folder, name)
            blocks += 1 + os.lstat(path).st_size // 4096
    return blocks * 4096 // MIB + 1
