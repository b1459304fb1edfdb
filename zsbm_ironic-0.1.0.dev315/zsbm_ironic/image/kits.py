# SPDX-License-Identifier: Apache-2.0
"""Kernels for hardware, for images that have one for VMs alone.

A kit is the kernel of a distribution's release, with the modules of servers
and the packages that both came from: fetched and verified by an apt of our
own, kept by digest. Building one needs no root and runs nothing of it.
"""

import dataclasses
import json
import pathlib
import re
import shutil

from zsbm_ironic.common import apt, artifacts, exception, process, progress

KIND = 'image-kit'
FACTS = 'kit.json'
_NEEDED_BYTES = 1 << 30
# Debian's name of an architecture.
_ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64'}
# Codename, and the package whose newest version is taken. Bullseye is closed,
# and not every mirror has the package that names its last kernel.
_RELEASES = {
    'debian 11': ('bullseye', 'linux-image-5.10.0-46-{}'),
    'debian 12': ('bookworm', 'linux-image-{}'),
    'debian 13': ('trixie', 'linux-image-{}'),
}
_KERNEL_PACKAGE = re.compile(r'\b(linux-image-\d[\w.+-]*)')
# What a server needs neither to boot nor to be reached: the package, which
# the OS installs at its first start, brings it.
_LEFT_OUT = (
    'drivers/accel',
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
    'drivers/net/can',
    'drivers/nfc',
    'drivers/pcmcia',
    'drivers/staging',
    'drivers/usb/gadget',
    'drivers/usb/serial',
    'drivers/video',
    'net/bluetooth',
    'net/can',
    'net/mac80211',
    'net/nfc',
    'net/wireless',
    'sound',
)
# Folders of modules that an initramfs for any server has all of.
EARLY = (
    'drivers/ata',
    'drivers/block',
    'drivers/hid',
    'drivers/md',
    'drivers/message',
    'drivers/nvme',
    'drivers/scsi',
    'drivers/usb/host',
    'drivers/usb/storage',
    'drivers/virtio',
    'fs/btrfs',
    'fs/ext4',
    'fs/xfs',
)


@dataclasses.dataclass(frozen=True)
class Kit:
    """A kernel that is ready to be put into an image.

    :ivar folder: has modules/ and packages/.
    :ivar release: of the kernel, for example 6.1.0-56-amd64.
    """

    folder: pathlib.Path
    release: str

    @property
    def kernel(self) -> pathlib.Path:
        """The kernel itself."""
        return self.folder / 'vmlinuz'

    @property
    def modules(self) -> pathlib.Path:
        """What becomes the folder of its modules."""
        return self.folder / 'modules'

    @property
    def packages(self) -> list[pathlib.Path]:
        """Packages to be installed at the first start."""
        return sorted((self.folder / 'packages').iterdir())


def names() -> dict[str, str]:
    """Return identifiers by the names that a command line has for them."""
    return {name_of(one): one for one in _RELEASES}


def name_of(identifier: str) -> str:
    """Return an identifier without spaces, for example debian-12."""
    return identifier.replace(' ', '-')


def known(identifier: str, architecture: str) -> bool:
    """Return whether there is a kit for an OS.

    :param identifier: as `system.System` has it, for example `debian 12`.
    """
    return identifier in _RELEASES and architecture in _ARCHITECTURES


def key(identifier: str, architecture: str) -> str:
    """Return the digest of all that decides what is asked for."""
    return artifacts.digest(
        {
            'what': f'{identifier} {architecture}',
            'code': pathlib.Path(__file__).read_bytes(),
        }
    )


def build(
    cache: artifacts.Artifacts, identifier: str, architecture: str
) -> Kit:
    """Return the kit of an OS, built first where it is not there yet.

    :raises DownloadFailed: the mirror cannot be reached; try again.
    :raises BuildFailed: the mirror has no such package.
    """

    def make(target: pathlib.Path, report: progress.Progress) -> None:
        with report.step(f'kit: kernel of {identifier}, {architecture}'):
            _build(target, identifier, architecture)

    folder = cache.get(
        KIND, key(identifier, architecture), make, needs_bytes=_NEEDED_BYTES
    )
    return read(folder)


def read(folder: pathlib.Path) -> Kit:
    """Return the kit in a folder that `build` made, or a copy of it."""
    facts = json.loads((folder / FACTS).read_text())
    return Kit(folder, facts['release'])


def _build(target: pathlib.Path, identifier: str, architecture: str) -> None:
    codename, pattern = _RELEASES[identifier]
    debian = _ARCHITECTURES[architecture]
    work = target / 'work'
    private = apt.PrivateApt(work / 'apt', codename, debian)
    private.update()
    packages = [private.download(pattern.format(debian))]
    depends = process.run(
        ['dpkg-deb', '--field', packages[0].path, 'Depends'], timeout_s=30
    ).stdout
    # A package that only names the newest kernel.
    if match := _KERNEL_PACKAGE.search(depends):
        packages.append(private.download(match[1]))
    root = work / 'root'
    process.run(
        ['dpkg-deb', '--extract', packages[-1].path, root], timeout_s=300
    )
    # Packages since Debian 13 know no other place.
    if not (root / 'lib').exists():
        (root / 'lib').symlink_to('usr/lib')
    try:
        (kernel,) = (root / 'boot').glob('vmlinuz-*')
        (modules,) = (root / 'lib/modules').glob('*')
    except ValueError as exc:
        raise exception.BuildFailed(
            what='a kit', why=f'{packages[-1].name} has not one kernel'
        ) from exc
    for folder in _LEFT_OUT:
        shutil.rmtree(modules / 'kernel' / folder, ignore_errors=True)
    process.run(['depmod', '-b', root, modules.name], timeout_s=300)
    shutil.move(kernel, target / 'vmlinuz')
    shutil.move(modules, target / 'modules')
    (target / 'packages').mkdir()
    for package in packages:
        shutil.move(package.path, target / 'packages' / package.path.name)
    facts = {
        'release': modules.name,
        'packages': {
            one.name: {'version': one.version, 'sha256': one.sha256}
            for one in packages
        },
    }
    (target / FACTS).write_text(json.dumps(facts, indent=1) + '\n')
    for path in (target / 'modules').rglob('*'):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(work)
