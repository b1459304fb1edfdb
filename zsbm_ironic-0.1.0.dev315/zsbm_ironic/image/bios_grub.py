# SPDX-License-Identifier: Apache-2.0
"""GRUB for BIOS: its first sector, and its core where no file system is.

Called by whatever makes a disk boot on BIOS: the conversion, and the lab's
images. What grub-bios-setup does on a device is done here on a plain file or
a device alike; offsets are those of GRUB's boot.img and diskboot.img
(include/grub/i386/pc/boot.h).
"""

import pathlib
import struct
import tempfile

from zsbm_ironic.common import apt, process

SECTOR = 512
_BOOT_CODE_BYTES = 440
_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_BLOCKLIST = SECTOR - 12
_KERNEL_SEGMENT = 0x820
_NOP_NOP = b'\x90\x90'
# All that it takes to read a menu: what else a menu asks for by `insmod` is
# looked for below its prefix.
_MODULES = (
    'biosdisk part_gpt part_msdos ext2 xfs btrfs lvm normal linux linux16 '
    'configfile search search_fs_uuid search_label search_fs_file loadenv '
    'echo test true sleep regexp serial terminal minicmd reboot halt ls cat '
    'gzio all_video gfxterm font'
).split()


def core_image(
    modules: pathlib.Path, early: str, prefix: str = '/boot/grub'
) -> bytes:
    """Return a core.img.

    :param modules: folder of GRUB's modules for i386-pc.
    :param early: GRUB commands that find the menu; they set `prefix`.
    :raises ToolMissing: grub-mkimage is not there.
    """
    apt.require('grub-mkimage', 'grub-common', 'a boot loader for BIOS')
    with tempfile.TemporaryDirectory() as name:
        config = pathlib.Path(name, 'early.cfg')
        config.write_text(early)
        core = pathlib.Path(name, 'core.img')
        process.run(
            ['grub-mkimage', '-O', 'i386-pc', '-p', prefix]
            + ['-d', str(modules), '-o', str(core), '-c', str(config)]
            + available(modules),
            timeout_s=60,
        )
        return core.read_bytes()


def available(modules: pathlib.Path) -> list[str]:
    """Return what goes into a core, without what this GRUB does not have."""
    return [name for name in _MODULES if (modules / f'{name}.mod').exists()]


def embed(
    image: pathlib.Path, boot: bytes, core: bytes, core_sector: int
) -> None:
    """Write GRUB's first sector and its core, and link them by sector.

    :param boot: boot.img; its partition table area is left alone.
    :param core: core.img, for the BIOS boot partition, or the gap behind an
        MBR.
    :param core_sector: where it starts.
    """
    first = bytearray(boot[:_BOOT_CODE_BYTES])
    struct.pack_into('<Q', first, _KERNEL_SECTOR, core_sector)
    # Some BIOSes hand over a wrong drive number: GRUB takes 0x80 for disks.
    first[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _NOP_NOP
    sectors = sectors_of(core)
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


def sectors_of(core: bytes) -> int:
    """Return how many sectors a core takes."""
    return -(-len(core) // SECTOR)
