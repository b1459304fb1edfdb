# SPDX-License-Identifier: Apache-2.0
"""GRUB of a VM image: files in the root, its core for BIOS, the ESP's files.

Called by `build` after `configure`. What grub-install and grub-mkconfig do on
a running VM is done here on a folder, with the image's own GRUB.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Mapping

from zsbm_ironic.common import process
from zsbm_ironic.lab.vm_images import menu, plan, specimens

_CORE_MODULES = (
    'biosdisk part_gpt part_msdos ext2 xfs btrfs normal linux configfile '
    'search search_fs_uuid loadenv echo test serial terminal minicmd reboot '
    'halt ls cat'
).split()
# Suffix of the loaders' names and folder of the signed GRUB.
_EFI = {
    'amd64': ('x64', 'x86_64-efi-signed'),
    'arm64': ('aa64', 'arm64-efi-signed'),
}


@dataclasses.dataclass(frozen=True)
class Loader:
    """What is outside of the file systems of Linux.

    :ivar boot: GRUB's boot.img; empty where BIOS does not boot it.
    :ivar core: GRUB's core.img; empty as well.
    :ivar esp: files of the ESP by their path there.
    """

    boot: bytes
    core: bytes
    esp: Mapping[str, pathlib.Path]


def install(
    root: pathlib.Path,
    specimen: specimens.Specimen,
    identity: plan.Identity,
    work: pathlib.Path,
) -> Loader:
    """Write GRUB's files into the root; return what goes elsewhere.

    :param work: folder for the ESP's files, until the disk is written.
    """
    version = kernel_version(root)
    grub = root / 'boot' / 'grub'
    grub.mkdir(exist_ok=True)
    (grub / 'grub.cfg').write_text(menu.grub_cfg(specimen, identity, version))
    (root / 'etc/default/grub').write_text(menu.default_grub(specimen))
    if specimen.menu is specimens.Menu.BLS:
        (grub / 'grubenv').write_bytes(
            menu.grubenv(specimen, identity, version)
        )
        entries = root / 'boot' / 'loader' / 'entries'
        entries.mkdir(parents=True)
        (entries / f'{identity.machine_id}-{version}.conf').write_text(
            menu.bls_entry(specimen, version)
        )
    boot = core = b''
    if specimen.boot is not specimens.Boot.UEFI:
        boot, core = _bios(root, menu.pointer(specimen, identity))
    esp: dict[str, pathlib.Path] = {}
    if specimen.boot is not specimens.Boot.BIOS:
        (root / 'boot' / 'efi').mkdir(exist_ok=True)
        esp = _esp(root, specimen, identity, work)
    return Loader(boot, core, esp)


def kernel_version(root: pathlib.Path) -> str:
    """Return the version of the one kernel that is installed."""
    (kernel,) = (root / 'boot').glob('vmlinuz-*')
    return kernel.name.removeprefix('vmlinuz-')


def _bios(root: pathlib.Path, early: str) -> tuple[bytes, bytes]:
    modules = root / 'usr/lib/grub/i386-pc'
    installed = root / 'boot/grub/i386-pc'
    installed.mkdir()
    for pattern in ('*.mod', '*.lst'):
        for path in modules.glob(pattern):
            shutil.copyfile(path, installed / path.name)
    config = root / 'early.cfg'
    config.write_text(early)
    core = installed / 'core.img'
    process.run(
        [
            'chroot',
            str(root),
            'grub-mkimage',
            '-O',
            'i386-pc',
            '-p',
            '/boot/grub',
        ]
        + ['-o', '/boot/grub/i386-pc/core.img', '-c', '/early.cfg']
        + _CORE_MODULES,
        timeout_s=60,
        env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'},
    )
    config.unlink()
    boot = modules / 'boot.img'
    shutil.copyfile(boot, installed / 'boot.img')
    return boot.read_bytes(), core.read_bytes()


def _esp(
    root: pathlib.Path,
    specimen: specimens.Specimen,
    identity: plan.Identity,
    work: pathlib.Path,
) -> dict[str, pathlib.Path]:
    suffix, signed = _EFI[specimen.system.architecture]
    shim, manager = (
        root / f'usr/lib/shim/{name}{suffix}.efi.signed'
        for name in ('shim', 'mm')
    )
    grub = root / f'usr/lib/grub/{signed}/grub{suffix}.efi.signed'
    pointer = work / 'esp-grub.cfg'
    pointer.write_text(
        menu.pointer(specimen, identity) + 'configfile $prefix/grub.cfg\n'
    )
    files = {
        f'EFI/debian/shim{suffix}.efi': shim,
        f'EFI/debian/mm{suffix}.efi': manager,
        f'EFI/debian/grub{suffix}.efi': grub,
        'EFI/debian/grub.cfg': pointer,
    }
    if specimen.boot is specimens.Boot.HYBRID:
        files[f'EFI/BOOT/BOOT{suffix.upper()}.EFI'] = shim
        files[f'EFI/BOOT/grub{suffix}.efi'] = grub
    return files
