# SPDX-License-Identifier: Apache-2.0
"""Boot loaders for images that have none of their own for a firmware.

shim and GRUB for UEFI, signed, and GRUB's modules for BIOS, as Debian's
packages lay them out. The deploy ramdisk has these packages; elsewhere they
are fetched, verified by an apt of our own and kept by digest.
"""

import dataclasses
import json
import pathlib
import shutil

from zsbm_ironic.common import apt, artifacts, exception, process, progress

RELEASE = 'bookworm'
PACKAGES = (
    'grub-efi-amd64-signed',
    'grub-pc-bin',
    'shim-helpers-amd64-signed',
    'shim-signed',
)
KIND = 'image-loaders'
MANIFEST = 'manifest.json'
_NEEDED_BYTES = 100 << 20
_BIOS = 'usr/lib/grub/i386-pc'
# Name beside each other on an EFI system partition -> path in a package.
_UEFI = {
    'x86_64': {
        'shimx64.efi': 'usr/lib/shim/shimx64.efi.signed',
        'mmx64.efi': 'usr/lib/shim/mmx64.efi.signed',
        'grubx64.efi': 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed',
    }
}


@dataclasses.dataclass(frozen=True)
class Loaders:
    """Unpacked or installed packages.

    :ivar root: has usr/lib/grub and usr/lib/shim.
    """

    root: pathlib.Path

    @property
    def bios(self) -> pathlib.Path:
        """Folder of GRUB's modules for BIOS."""
        return self.root / _BIOS

    def uefi(self, architecture: str) -> dict[str, pathlib.Path]:
        """Return shim, GRUB and MokManager by name; empty without them."""
        return {
            name: self.root / path
            for name, path in _UEFI.get(architecture, {}).items()
        }


def key() -> str:
    """Return the digest of the packages' names and of what is kept."""
    return artifacts.digest(
        {
            'packages': ' '.join((RELEASE, *PACKAGES)),
            'kept': json.dumps([_BIOS, _UEFI]),
        }
    )


def fetch(cache: artifacts.Artifacts) -> Loaders:
    """Return the loaders, fetched first where they are not there yet.

    :raises DownloadFailed: the mirror cannot be reached; try again.
    :raises BuildFailed: the mirror has no such package.
    """
    return Loaders(cache.get(KIND, key(), _fetch, needs_bytes=_NEEDED_BYTES))


def _fetch(target: pathlib.Path, report: progress.Progress) -> None:
    work = target / 'work'
    unpacked = work / 'unpacked'
    with report.step('boot loaders: fetch shim and GRUB'):
        private = apt.PrivateApt(work / RELEASE, RELEASE)
        private.update()
        packages = [private.download(name) for name in PACKAGES]
    for package in packages:
        process.run(
            ['dpkg-deb', '--extract', package.path, unpacked], timeout_s=60
        )
    try:
        shutil.copytree(unpacked / _BIOS, target / _BIOS)
        for path in _UEFI['x86_64'].values():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(unpacked / path, target / path)
    except FileNotFoundError as exc:
        raise exception.BuildFailed(
            what='the boot loaders',
            why=f'no package of {", ".join(PACKAGES)} has {exc.filename}',
        ) from exc
    versions = {one.name: one.version for one in packages}
    (target / MANIFEST).write_text(json.dumps(versions, indent=1) + '\n')
    shutil.rmtree(work)
