# SPDX-License-Identifier: Apache-2.0
"""A bootable disk from a folder: GPT, GRUB for BIOS and UEFI, one root.

Called by the OS image builder. Writes into plain files only, so that neither
loop devices nor mounts are needed: `mke2fs -d` fills the root, mtools the
EFI partition, and `bios_grub` embeds GRUB.
"""

import os
import pathlib
import uuid
from collections.abc import Callable, Mapping

from zsbm_ironic.common import apt, process
from zsbm_ironic.image import bios_grub, part_files

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
    made = (
        (part_files.make_esp(esp, work / 'esp.img', ESP_MIB), esp_mib),
        (_root(root, root_uuid, root_mib, work / 'root.img'), start_mib),
    )
    for part, place_mib in made:
        part_files.copy_sparse(part, image, place_mib * MIB)
        part.unlink()
    bios_grub.embed(image, boot, core, first_mib * MIB // SECTOR)
    return size_bytes


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


def used_mib(root: pathlib.Path) -> int:
    """Return what a folder takes in blocks of 4 KiB, in MiB."""
    blocks = 0
    for folder, folders, files in os.walk(root):
        for name in files + folders:
            path = os.path.join(folder, name)
            blocks += 1 + os.lstat(path).st_size // 4096
    return blocks * 4096 // MIB + 1
