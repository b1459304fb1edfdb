# SPDX-License-Identifier: Apache-2.0
"""The root file system of the test OS: Debian as its installer leaves it.

Called by `os_image`, which puts a disk around it. Packages are installed for
real, scripts included. Owns the cache kind `os-root`.
"""

import pathlib

from zsbm_ironic.common import artifacts, process, progress
from zsbm_ironic.lab.images import debian

WHAT = 'the test OS image'
KIND = 'os-root'
ARCHIVE = 'root.tar.zst'
PACKAGES = 'packages.txt'
NEEDED_BYTES = 2500 << 20

# Drivers that no server needs to boot and be reached: half of the kernel.
_MODULES_LEFT_OUT = (
    'drivers/bluetooth',
    'drivers/gpu',
    'drivers/hwmon',
    'drivers/iio',
    'drivers/infiniband',
    'drivers/input/joystick',
    'drivers/input/tablet',
    'drivers/input/touchscreen',
    'drivers/isdn',
    'drivers/media',
    'drivers/mmc',
    'drivers/mtd',
    'drivers/net/wireless',
    'drivers/nfc',
    'drivers/pcmcia',
    'drivers/staging',
    'drivers/usb/gadget',
    'drivers/usb/serial',
    'net/bluetooth',
    'net/mac80211',
    'net/nfc',
    'net/wireless',
    'sound',
)


def key() -> str:
    """Return the digest of all that decides what the root has in it."""
    return artifacts.digest(
        {
            __name__: pathlib.Path(__file__).read_bytes(),
            debian.__name__: pathlib.Path(debian.__file__).read_bytes(),
            'packages': debian.data('os/packages.txt'),
            'modules': debian.data('os/initramfs-modules.txt'),
        }
    )


def build(cache: artifacts.Artifacts) -> pathlib.Path:
    """Return the folder with ARCHIVE and PACKAGES.

    :raises DownloadFailed: the mirror cannot be reached.
    :raises BuildFailed: a package is missing or does not install.
    """
    return cache.get(KIND, key(), _build, needs_bytes=NEEDED_BYTES)


def _build(target: pathlib.Path, report: progress.Progress) -> None:
    root = target / 'root'
    # Read by initramfs-tools when the kernel is installed.
    wanted = target / 'modules'
    wanted.write_text(debian.data('os/initramfs-modules.txt'))
    settings = target / 'settings'
    settings.write_text('MODULES=list\n')
    with report.step('OS image: Debian packages'):
        debian.bootstrap(
            root,
            debian.package_list('os/packages.txt'),
            variant='apt',
            left_out=[
                f'/lib/modules/*/kernel/{folder}/*'
                for folder in _MODULES_LEFT_OUT
            ],
            hooks=[
                '--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" '
                '"$1/usr/share/initramfs-tools/modules.d"',
                f'--essential-hook=cp {settings} '
                '"$1/etc/initramfs-tools/conf.d/zsbm"',
                f'--essential-hook=cp {wanted} '
                '"$1/usr/share/initramfs-tools/modules.d/zsbm"',
            ],
            what=WHAT,
        )
        listing = process.run(
            ['chroot', root, 'dpkg-query', '-W'], timeout_s=60
        )
        (target / PACKAGES).write_text(listing.stdout)
    with report.step('OS image: pack the root'):
        debian.pack(root, target / ARCHIVE)
    wanted.unlink()
    settings.unlink()
