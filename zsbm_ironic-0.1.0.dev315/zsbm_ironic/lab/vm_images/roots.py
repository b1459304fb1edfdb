# SPDX-License-Identifier: Apache-2.0
"""Package roots of VM images: Debian installed for real, scripts included.

Called by `build`, which turns a root into one or more images. The initramfs
is made here, when the kernel is installed, because that takes most of the
time. Owns the cache kind `vm-root`.
"""

import pathlib
import shutil

from zsbm_ironic.common import artifacts, process, progress
from zsbm_ironic.lab.images import debian
from zsbm_ironic.lab.vm_images import foreign, specimens

KIND = 'vm-root'
ARCHIVE = 'root.tar.zst'
PACKAGES = 'packages.txt'
WHAT = 'the VM image'
# Count up to make every root again.
_FORMAT = '1'
_NEEDED_BYTES = 2500 << 20

_COMMON = (
    'e2fsprogs',
    'fdisk',
    'grub2-common',
    'ifupdown',
    'iproute2',
    'isc-dhcp-client',
    'kmod',
    'openssh-server',
    'procps',
    'udev',
    'zstd',
)
# Firmware's programs by architecture; those that an image would not have are
# purged from it.
GRUB_BIOS = {'amd64': ('grub-pc-bin',), 'arm64': ()}
GRUB_UEFI = {
    'amd64': (
        'grub-efi-amd64-bin',
        'grub-efi-amd64-signed',
        'shim-helpers-amd64-signed',
        'shim-signed',
    ),
    'arm64': (
        'grub-efi-arm64-bin',
        'grub-efi-arm64-signed',
        'shim-helpers-arm64-signed',
        'shim-signed',
    ),
}
_INIT = {
    specimens.Init.SYSTEMD: ('systemd-sysv',),
    specimens.Init.SYSVINIT: ('sysvinit-core', 'initscripts', 'sysv-rc'),
}
# Drivers that no server needs to boot and be reached: half of the kernel.
_DRIVERS_LEFT_OUT = (
    'drivers/bluetooth',
    'drivers/gpu',
    'drivers/hwmon',
    'drivers/iio',
    'drivers/infiniband',
    'drivers/isdn',
    'drivers/media',
    'drivers/mmc',
    'drivers/mtd',
    'drivers/net/wireless',
    'drivers/staging',
    'drivers/usb/gadget',
    'net/mac80211',
    'net/wireless',
    'sound',
)
VIRTIO_MODULES = (
    'virtio_blk',
    'virtio_net',
    'virtio_pci',
    'virtio_scsi',
)
_FILESYSTEM_MODULES = ('btrfs', 'crc32c', 'dm_mod', 'ext4', 'xfs')


def packages(system: specimens.System) -> list[str]:
    """Return the packages that are asked for, without what they need."""
    return sorted(
        {
            *_COMMON,
            *GRUB_BIOS[system.architecture],
            *GRUB_UEFI[system.architecture],
            *_INIT[system.init],
            system.kernel,
            system.initramfs.value,
            *system.extra,
        }
    )


def settings(system: specimens.System) -> dict[str, str]:
    """Return files by path that decide what goes into the initramfs.

    Both programs get a list of drivers: what they would find out by
    themselves is about the machine that builds, not about a VM.
    """
    if system.scope is specimens.Scope.MOST:
        return {}
    if system.initramfs is specimens.Initramfs.INITRAMFS_TOOLS:
        modules = (*VIRTIO_MODULES, *_FILESYSTEM_MODULES)
        return {
            'etc/initramfs-tools/conf.d/vm': 'MODULES=list\n',
            'etc/initramfs-tools/modules': '\n'.join(modules) + '\n',
        }
    # Without a /run, as in a chroot, dracut turns hostonly off by itself;
    # these lists are exclusive and have what it would leave.
    return {
        'etc/dracut.conf.d/vm.conf': (
            'hostonly="yes"\n'
            'hostonly_cmdline="no"\n'
            'hostonly_default_device="no"\n'
            f'drivers+=" {" ".join(VIRTIO_MODULES)} "\n'
            'filesystems+=" ext4 xfs "\n'
            'omit_dracutmodules+=" qemu qemu-net "\n'
        )
    }


def key(system: specimens.System) -> str:
    """Return the digest of all that decides what a root has in it."""
    return artifacts.digest(
        {
            'format': _FORMAT,
            'system': f'{system.release} {system.architecture}',
            'packages': ' '.join(packages(system)),
            'settings': repr(settings(system)),
            'left_out': ' '.join((*debian.PATHS_LEFT_OUT, *_DRIVERS_LEFT_OUT)),
        }
    )


def build(
    cache: artifacts.Artifacts, system: specimens.System
) -> pathlib.Path:
    """Return the folder with ARCHIVE and PACKAGES.

    :raises DownloadFailed: the mirror cannot be reached.
    :raises BuildFailed: a package is missing or does not install.
    """

    def make(target: pathlib.Path, report: progress.Progress) -> None:
        with foreign.programs(system.architecture, WHAT):
            _build(system, target, report)

    return cache.get(KIND, key(system), make, needs_bytes=_NEEDED_BYTES)


def _build(
    system: specimens.System,
    target: pathlib.Path,
    report: progress.Progress,
) -> None:
    root = target / 'root'
    staged = target / 'settings'
    for name, text in settings(system).items():
        place = staged / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    hooks = [
        f'--essential-hook=copy-in {folder} /'
        for folder in sorted(staged.glob('*'))
    ]
    with report.step(f'VM image: {system.release}, {system.kernel}'):
        debian.bootstrap(
            root,
            packages(system),
            variant='apt',
            left_out=[
                f'/lib/modules/*/kernel/{folder}/*'
                for folder in _DRIVERS_LEFT_OUT
            ],
            hooks=hooks,
            what=WHAT,
            release=system.release,
            architecture=system.architecture,
        )
        listing = process.run(
            ['dpkg-query', f'--admindir={root}/var/lib/dpkg', '-W'],
            timeout_s=60,
        )
        (target / PACKAGES).write_text(listing.stdout)
    with report.step('VM image: pack the root'):
        debian.pack(root, target / ARCHIVE)
    shutil.rmtree(staged, ignore_errors=True)
