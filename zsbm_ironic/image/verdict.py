# SPDX-License-Identifier: Apache-2.0
"""Whether an image boots on given hardware, and every reason why not.

A pure judgement of what `system` read: the same image and hardware give the
same verdict. What cannot be known is never taken for good: an image is fit
only where each thing that a boot needs was seen.
"""

import dataclasses
import enum
from collections.abc import Iterator

from zsbm_ironic.image import hardware as hardware_types
from zsbm_ironic.image import modules, system, tree, volumes


class Level(enum.IntEnum):
    """How bad a finding is; the worst one is the verdict.

    :cvar WARN: it boots, but something is missing, as its network.
    :cvar UNFIT: it does not boot; conversion mends it.
    :cvar REFUSE: it does not boot and nothing here mends it.
    """

    FIT = 0
    WARN = 1
    UNFIT = 2
    REFUSE = 3


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that stands in the way.

    :ivar key: for programs, stays the same from release to release.
    :ivar what: for people.
    :ivar remedy: what conversion does, or what a person can do.
    """

    level: Level
    key: str
    what: str
    remedy: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What all findings come to."""

    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        return max((one.level for one in self.findings), default=Level.FIT)


_FALLBACK = {
    'x86_64': 'BOOTX64.EFI',
    'aarch64': 'BOOTAA64.EFI',
    'riscv64': 'BOOTRISCV64.EFI',
    'loongarch64': 'BOOTLOONGARCH64.EFI',
}
_FILESYSTEM_MODULES = {
    'ext2': 'ext4',
    'ext3': 'ext4',
    'ext4': 'ext4',
    'xfs': 'xfs',
    'btrfs': 'btrfs',
}
# What a kernel names a disk by; another machine names it otherwise.
_BY_BUS = ('/dev/vd', '/dev/sd', '/dev/xvd', '/dev/hd', '/dev/nvme')
_OPTIONAL = frozenset({'nofail', 'noauto'})
_CONVERT = 'a conversion (not in this release)'


def of_disk(
    disk: volumes.Disk,
    found: system.System | None,
    hardware: hardware_types.Hardware,
) -> Verdict:
    """Judge what is on a disk."""
    if found is None:
        return Verdict((_no_system(disk),))
    findings = [
        *_architecture(found, hardware),
        *_loader(found, hardware),
        *_kernel(found, hardware),
        *_root(found),
        *_mounts(found),
        *_network(found, hardware),
        *_size(found, hardware),
    ]
    return Verdict(tuple(findings))


def _no_system(disk: volumes.Disk) -> Finding:
    kinds = {one.kind for one in disk.volumes}
    if 'crypto_LUKS' in kinds:
        return Finding(
            Level.REFUSE,
            'encrypted',
            'the root file system is encrypted by LUKS',
            'nobody can look inside without its key: use an image without '
            'encryption, and encrypt on the server',
        )
    if 'ntfs' in kinds or 'BitLocker' in kinds:
        return Finding(
            Level.REFUSE,
            'windows',
            'it is Windows, as far as its NTFS file system tells',
            'deploy an image that Windows itself prepared for this hardware '
            '(sysprep, drivers by DISM)',
        )
    held = ', '.join(sorted(kinds - {''})) or 'no file system'
    return Finding(
        Level.REFUSE,
        'no-system',
        f'no Linux was found on it ({held})',
        'an image needs a root file system of ext2, ext3, ext4, XFS or '
        'btrfs, on a partition or a logical volume',
    )


def _architecture(
    found: system.System, hardware: hardware_types.Hardware
) -> Iterator[Finding]:
    if found.architecture == hardware.architecture:
        return
    yield Finding(
        Level.REFUSE,
        'architecture',
        f'its programs are for {found.architecture or "an unknown machine"}, '
        f'the server is {hardware.architecture}',
        'use an image for this architecture',
    )


def _loader(
    found: system.System, hardware: hardware_types.Hardware
) -> Iterator[Finding]:
    if hardware.firmware is hardware_types.Firmware.BIOS:
        if not _has_bios_loader(found.disk):
            yield Finding(
                Level.UNFIT,
                'no-bios-loader',
                'its disk has no boot loader for BIOS',
                f'{_CONVERT} adds GRUB',
            )
        return
    esp = found.disk.esp()
    if esp is None:
        yield Finding(
            Level.UNFIT,
            'no-esp',
            'it has no EFI system partition',
            f'{_CONVERT} adds one with a loader',
        )
        return
    files = esp.files()
    name = _FALLBACK[hardware.architecture]
    if files is None or not any(
        _named(files, folder, name) for folder in _folders(files)
    ):
        yield Finding(
            Level.UNFIT,
            'no-fallback-loader',
            f'its EFI system partition has no \\EFI\\BOOT\\{name}, and a '
            'boot entry in the memory of a VM does not come along',
            f'{_CONVERT} adds it',
        )


def _folders(files: tree.Tree) -> list[str]:
    """Return \\EFI\\BOOT in whatever case it is written."""
    return [
        f'/{first}/{second}'
        for first in files.names('/')
        if first.upper() == 'EFI'
        for second in files.names(f'/{first}')
        if second.upper() == 'BOOT'
    ]


def _named(files: tree.Tree, folder: str, name: str) -> bool:
    return any(one.upper() == name for one in files.names(folder))


def _has_bios_loader(disk: volumes.Disk) -> bool:
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


def _kernel(
    found: system.System, hardware: hardware_types.Hardware
) -> Iterator[Finding]:
    entry, drivers = found.boots, found.modules
    if entry is None:
        yield Finding(
            Level.REFUSE,
            'no-menu',
            'no boot menu was found that can be read (GRUB, Boot Loader '
            'Specification)',
            'images of other boot loaders are not converted yet',
        )
        return
    if not tree.exists(found.files, entry.kernel):
        yield Finding(
            Level.REFUSE,
            'no-kernel-file',
            f'{entry.written_in} boots {entry.kernel}, which is not there',
            'install a kernel in the image',
        )
        return
    if drivers is None:
        yield Finding(
            Level.REFUSE,
            'no-modules',
            f'no modules of the kernel {entry.kernel} were found',
            'install a kernel of the distribution in the image',
        )
        return
    if entry.initramfs and found.initramfs is None:
        yield Finding(
            Level.UNFIT,
            'no-initramfs-file',
            f'{entry.written_in} names an initramfs that is not there',
            f'{_CONVERT} makes one',
        )
        return
    yield from _drivers(found, drivers, hardware)


def _drivers(
    found: system.System,
    drivers: modules.Modules,
    hardware: hardware_types.Hardware,
) -> Iterator[Finding]:
    absent, not_early = [], []
    for modalias in hardware.disk:
        driver = drivers.driver(modalias)
        if driver is None:
            absent.append(modalias)
        elif not driver.builtin and not _early(found, drivers, driver.names):
            not_early.append('/'.join(sorted(driver.names)))
    wanted = _FILESYSTEM_MODULES.get(found.root.kind)
    if wanted and wanted not in drivers.builtin:
        if not _early(found, drivers, frozenset({wanted})):
            not_early.append(wanted)
    if absent:
        yield Finding(
            Level.UNFIT,
            'no-disk-driver',
            f'its kernel {drivers.release} has no driver for the disk '
            f'({", ".join(absent)})',
            f'{_CONVERT} adds a kernel for hardware from a kit',
        )
    if not_early:
        yield Finding(
            Level.UNFIT,
            'no-disk-driver-early',
            'its initramfs is without what the root disk needs: '
            f'{", ".join(not_early)}',
            f'{_CONVERT} adds it',
        )


def _early(
    found: system.System, drivers: modules.Modules, names: frozenset[str]
) -> bool:
    """Return whether the initramfs has one of the modules, and its needs."""
    if found.initramfs is None:
        return False
    return any(
        all(
            found.initramfs.has(drivers.release, one)
            for one in drivers.closure({name})
        )
        for name in names
        if name in drivers.paths
    )


def _root(found: system.System) -> Iterator[Finding]:
    entry = found.boots
    if entry is None:
        return
    root = entry.parameter('root')
    if root is None:
        yield Finding(
            Level.UNFIT,
            'no-root',
            f'{entry.written_in} does not say what the root file system is',
            f'{_CONVERT} writes its UUID there',
        )
    elif root.startswith(_BY_BUS):
        yield Finding(
            Level.UNFIT,
            'root-by-bus',
            f'{entry.written_in} has root={root}, which has another name on '
            'a server',
            f'{_CONVERT} writes its UUID there',
        )
    elif system.named(found.disk, root) != found.root:
        yield Finding(
            Level.UNFIT,
            'root-unknown',
            f'{entry.written_in} has root={root}, which is not on this disk',
            f'{_CONVERT} writes the UUID of {found.root.name} there',
        )


def _mounts(found: system.System) -> Iterator[Finding]:
    for mount in found.mounts:
        if _OPTIONAL & set(mount.options):
            continue
        by_bus = mount.what.startswith(_BY_BUS)
        absent = (
            mount.what.startswith(('UUID=', 'LABEL=', 'PARTUUID=', '/dev/'))
            and system.named(found.disk, mount.what) is None
        )
        if by_bus or absent:
            yield Finding(
                Level.WARN if mount.kind == 'swap' else Level.UNFIT,
                'mount-by-bus' if by_bus else 'mount-absent',
                f'/etc/fstab mounts {mount.where} from {mount.what}, which '
                + (
                    'has another name on a server'
                    if by_bus
                    else 'is not on this disk'
                ),
                f'{_CONVERT} writes its UUID there, or marks it as optional',
            )


def _network(
    found: system.System, hardware: hardware_types.Hardware
) -> Iterator[Finding]:
    if found.modules is None:
        return
    absent = [
        nic.modalias
        for nic in hardware.nics
        if found.modules.driver(nic.modalias) is None
    ]
    if absent:
        yield Finding(
            Level.WARN,
            'no-nic-driver',
            f'its kernel {found.modules.release} has no driver for '
            f'{", ".join(absent)}: it boots without this network',
            f'{_CONVERT} adds a kernel for hardware from a kit',
        )
    entry = found.boots
    if not found.interfaces or entry is None:
        return
    old_names = entry.parameter('net.ifnames') == '0'
    fixed = [
        name
        for name in found.interfaces
        if not any(mark in name for mark in '*?!')
        and not (old_names and name.startswith('eth'))
    ]
    if fixed:
        yield Finding(
            Level.WARN,
            'nic-names',
            f'its network settings name {", ".join(fixed)}, and a server '
            'names its interfaces by their slots',
            f'{_CONVERT} and a deploy give the interfaces these names by MAC',
        )


def _size(
    found: system.System, hardware: hardware_types.Hardware
) -> Iterator[Finding]:
    size = found.disk.image.stat().st_size
    if hardware.disk_bytes is not None and size > hardware.disk_bytes:
        yield Finding(
            Level.REFUSE,
            'too-large',
            f'it has {size >> 20} MiB and the disk {hardware.disk_bytes >> 20}'
            ' MiB',
            'choose a larger disk by property root_device, or a smaller image',
        )
