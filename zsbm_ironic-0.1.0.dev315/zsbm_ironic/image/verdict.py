# SPDX-License-Identifier: Apache-2.0
"""Whether an image boots on given hardware, and every reason why not.

A pure judgement of what `system` read: the same image and hardware give the
same verdict. What cannot be known is never taken for good: an image is fit
only where each thing that a boot needs was seen.
"""

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from typing import Any

from zsbm_ironic.image import (
    firmware_files,
    kits,
    modules,
    nic_names,
    system,
    tree,
    volumes,
)
from zsbm_ironic.image import hardware as hardware_types


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

    @property
    def keys(self) -> frozenset[str]:
        """Keys of all findings."""
        return frozenset(one.key for one in self.findings)

    def data(self) -> dict[str, Any]:
        """Return it as JSON-like data."""
        return {
            'verdict': self.level.name.lower(),
            'findings': [
                {**dataclasses.asdict(one), 'level': one.level.name.lower()}
                for one in self.findings
            ],
        }


def from_data(data: Mapping[str, Any]) -> Verdict:
    """Return what `Verdict.data` made data of."""
    return Verdict(
        tuple(
            Finding(**{**one, 'level': Level[one['level'].upper()]})
            for one in data['findings']
        )
    )


# Findings that say no more than that nobody can look inside.
UNKNOWN = frozenset({'encrypted', 'windows', 'no-system', 'no-menu'})
_CONVERT = 'zsbm-image convert'


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
        if not firmware_files.has_bios_loader(found.disk):
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
    name = firmware_files.FALLBACK[hardware.architecture]
    if files is None or not firmware_files.has_fallback(
        files, hardware.architecture
    ):
        yield Finding(
            Level.UNFIT,
            'no-fallback-loader',
            f'its EFI system partition has no \\EFI\\BOOT\\{name}, and a '
            'boot entry in the memory of a VM does not come along',
            f'{_CONVERT} adds it',
        )


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
            Level.REFUSE,
            'no-initramfs-file',
            f'{entry.written_in} names an initramfs that is not there',
            'make it in the VM (update-initramfs -c -k all; dracut -f)',
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
    wanted = modules.FILESYSTEMS.get(found.root.kind)
    if wanted and wanted not in drivers.builtin:
        if not _early(found, drivers, frozenset({wanted})):
            not_early.append(wanted)
    if absent:
        yield Finding(
            Level.UNFIT if _has_kit(found) else Level.REFUSE,
            'no-disk-driver',
            f'its kernel {drivers.release} has no driver for the disk '
            f'({", ".join(absent)})',
            _kernel_remedy(found),
        )
    if not_early:
        yield Finding(
            Level.UNFIT,
            'no-disk-driver-early',
            'its initramfs is without what the root disk needs: '
            f'{", ".join(not_early)}',
            f'{_CONVERT} adds it',
        )


def _has_kit(found: system.System) -> bool:
    return kits.known(found.identifier, found.architecture or '')


def _kernel_remedy(found: system.System) -> str:
    if _has_kit(found):
        return f'{_CONVERT} adds a kernel for hardware'
    return 'install a kernel for hardware in the image'


def _early(
    found: system.System, drivers: modules.Modules, names: frozenset[str]
) -> bool:
    """Return whether the initramfs has one of the modules, and its needs."""
    own = found.initramfs
    if own is None:
        return False
    return any(
        all(
            any(own.has(drivers.release, one) for one in some)
            for some in drivers.needs(name)
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
            Level.REFUSE,
            'no-root',
            f'{entry.written_in} does not say what the root file system is',
            'make the menu anew in the VM (update-grub; grub2-mkconfig)',
        )
    elif system.by_bus(root):
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
        if system.optional(mount.options):
            continue
        by_bus = system.by_bus(mount.what)
        absent = (
            system.is_device(mount.what)
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
            _kernel_remedy(found),
        )
    if names := nic_names.lost(found, hardware):
        yield Finding(
            Level.WARN,
            'nic-names',
            f'its network settings name {", ".join(names)}, and a server '
            'names its interfaces by their slots',
            f'{_CONVERT} gives the interfaces these names, told their MACs',
        )


def _size(
    found: system.System, hardware: hardware_types.Hardware
) -> Iterator[Finding]:
    size = found.disk.size_bytes
    if hardware.disk_bytes is not None and size > hardware.disk_bytes:
        yield Finding(
            Level.REFUSE,
            'too-large',
            f'it has {size >> 20} MiB and the disk {hardware.disk_bytes >> 20}'
            ' MiB',
            'choose a larger disk by property root_device, or a smaller image',
        )
