# SPDX-License-Identifier: Apache-2.0
"""What firmware starts from a disk by itself: is it there?

UEFI starts \\EFI\\BOOT\\BOOT<machine>.EFI of an EFI system partition (UEFI
2.10, section 3.5.1.1), BIOS the first sector.
"""

from collections.abc import Iterator

from zsbm_ironic.image import tree, volumes

FALLBACK = {
    'x86_64': 'BOOTX64.EFI',
    'aarch64': 'BOOTAA64.EFI',
    'riscv64': 'BOOTRISCV64.EFI',
    'loongarch64': 'BOOTLOONGARCH64.EFI',
}


def has_fallback(esp: tree.Tree, architecture: str) -> bool:
    """Return whether an ESP has the file that is started without an entry."""
    name = FALLBACK[architecture]
    return any(
        one.upper() == name
        for folder in _folders(esp)
        if folder.upper().endswith('/BOOT')
        for one in esp.names(folder)
    )


def vendors(esp: tree.Tree) -> Iterator[str]:
    """Return the folders of distributions on an ESP."""
    for folder in _folders(esp):
        if not folder.upper().endswith('/BOOT'):
            yield folder


def _folders(esp: tree.Tree) -> Iterator[str]:
    """Return what is in \\EFI; it may be written in any case."""
    for first in esp.names('/'):
        if first.upper() == 'EFI':
            for second in esp.names(f'/{first}'):
                yield f'/{first}/{second}'


def has_bios_loader(disk: volumes.Disk) -> bool:
    """Look for GRUB in the first sector and for its core behind it.

    boot.img has its name in it, and 0x5C holds the core's sector
    (include/grub/i386/pc/boot.h); on a GPT the core is in a partition.
    """
    with disk.image.open('rb') as source:
        first = source.read(512)
        if len(first) < 512 or first[510:] != b'\x55\xaa':
            return False
        if b'GRUB' not in first[:440]:
            return False
        sector = int.from_bytes(first[0x5C:0x64], 'little')
        source.seek(sector * volumes.SECTOR)
        core = source.read(volumes.SECTOR)
    if sector == 0 or not core.strip(b'\0'):
        return False
    if disk.table != 'gpt':
        return True
    place = disk.bios_boot()
    return place is not None and place.start_bytes == sector * volumes.SECTOR
