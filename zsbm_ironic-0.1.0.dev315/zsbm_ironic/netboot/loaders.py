# SPDX-License-Identifier: Apache-2.0
"""Boot loaders for every firmware and architecture, from signed packages.

Called by whoever sets up a management node (`python -m
zsbm_ironic.netboot.loaders --output FOLDER`) and by the lab. iPXE is one
pinned package of Debian 13, which alone has it for arm64, riscv64 and
loong64; shim and GRUB, for Secure Boot, are those of Debian 12. They are
fetched through an apt of our own: the host's sources stay as they are. What
was unpacked outlives us, in `<folder>/loaders/<digest>/<architecture>/`.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
import sys

from zsbm_ironic.common import apt, artifacts, exception, process, progress

# Of Debian 13. Where a mirror has it no more, the newest that the archive
# signs is taken, and that is said.
IPXE_VERSION = '1.21.1+git20250501.dad20602+dfsg-1'
IPXE_SHA256 = (
    'eeaca79dbde0fb86c102bf1d362c6f6a67ed0ddab38b3dd12e1b332339f5dd99'
)
IPXE_RELEASE = 'trixie'
# Not pinned: an old shim is revoked by firmware updates.
SIGNED_PACKAGES = (
    'shim-signed',
    'shim-helpers-amd64-signed',
    'grub-efi-amd64-signed',
)
SIGNED_RELEASE = 'bookworm'
NEEDED_BYTES = 200 << 20
DEFAULT_FOLDER = pathlib.Path('/var/lib/zsbm-netboot')

# Name below the folder of loaders -> path in a package. shim asks the TFTP
# server for `grubx64.efi` beside itself: that is GRUB's network image.
LAYOUT = {
    'i386-bios/undionly.kpxe': 'usr/lib/ipxe/undionly.kpxe',
    'i386-bios/ipxe.pxe': 'usr/lib/ipxe/ipxe.pxe',
    'amd64/ipxe.efi': 'usr/lib/ipxe/ipxe-amd64.efi',
    'amd64/snponly.efi': 'usr/lib/ipxe/snponly.efi',
    'amd64/shimx64.efi': 'usr/lib/shim/shimx64.efi.signed',
    'amd64/mmx64.efi': 'usr/lib/shim/mmx64.efi.signed',
    'amd64/grubx64.efi': (
        'usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed'
    ),
    'arm64/ipxe.efi': 'usr/lib/ipxe/ipxe-arm64.efi',
    'riscv64/ipxe.efi': 'usr/lib/ipxe/ipxe-riscv64.efi',
    'loong64/ipxe.efi': 'usr/lib/ipxe/ipxe-loong64.efi',
}
MANIFEST = 'manifest.json'


@dataclasses.dataclass(frozen=True)
class Loaders:
    """The unpacked loaders.

    :ivar folder: has i386-bios/, amd64/, arm64/, riscv64/ and loong64/.
    :ivar digest: names this set.
    :ivar versions: version of each package that it came from.
    """

    folder: pathlib.Path
    digest: str
    versions: dict[str, str]

    def path(self, name: str) -> pathlib.Path:
        """Return one loader's file by its name in LAYOUT."""
        return self.folder / name


def key() -> str:
    """Return the digest of the pins and the layout."""
    return artifacts.digest(
        {
            'ipxe': IPXE_VERSION + IPXE_SHA256,
            'signed': ' '.join((SIGNED_RELEASE, *SIGNED_PACKAGES)),
            'layout': json.dumps(LAYOUT, sort_keys=True),
        }
    )


def fetch(cache: artifacts.Artifacts) -> Loaders:
    """Return the loaders, fetched first where they are not there yet.

    :raises DownloadFailed: the mirror cannot be reached; try again.
    :raises BuildFailed: the mirror has no such package.
    """
    digest = key()
    folder = cache.get('loaders', digest, _fetch, needs_bytes=NEEDED_BYTES)
    versions = json.loads((folder / MANIFEST).read_text())
    return Loaders(
        folder,
        digest,
        {name: str(of['version']) for name, of in versions.items()},
    )


def _fetch(target: pathlib.Path, report: progress.Progress) -> None:
    work = target / 'work'
    unpacked = work / 'unpacked'
    with report.step('loaders: fetch iPXE'):
        packages = [_fetch_ipxe(work / IPXE_RELEASE, report)]
    with report.step('loaders: fetch shim and GRUB'):
        signed = apt.PrivateApt(work / SIGNED_RELEASE, SIGNED_RELEASE)
        signed.update()
        packages += [signed.download(name) for name in SIGNED_PACKAGES]
    for package in packages:
        process.run(
            ['dpkg-deb', '--extract', package.path, unpacked], timeout_s=60
        )
    for name, source in LAYOUT.items():
        place = target / name
        place.parent.mkdir(exist_ok=True)
        try:
            shutil.copyfile(unpacked / source, place)
        except FileNotFoundError as exc:
            raise exception.BuildFailed(
                what=f'loader {name}',
                why=f'no package of {[p.name for p in packages]} has {source}',
            ) from exc
        place.chmod(0o644)
    manifest = {
        package.name: {'version': package.version, 'sha256': package.sha256}
        for package in packages
    }
    (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + '\n')
    shutil.rmtree(work)


def _fetch_ipxe(
    folder: pathlib.Path, report: progress.Progress
) -> apt.Downloaded:
    private = apt.PrivateApt(folder, IPXE_RELEASE)
    private.update()
    try:
        package = private.download('ipxe', IPXE_VERSION)
    except exception.BuildFailed:
        package = private.download('ipxe')
        report.say(
            f'loaders: ipxe {IPXE_VERSION} is no longer in the archive; '
            f'taken: {package.version}, signed by the archive as well'
        )
        return package
    if package.sha256 != IPXE_SHA256:
        raise exception.BuildFailed(
            what='the loaders',
            why=f'ipxe {IPXE_VERSION} has SHA-256 {package.sha256}, '
            f'not {IPXE_SHA256}',
        )
    return package


def main() -> int:
    """Fetch the loaders into a folder and print where they are."""
    parser = argparse.ArgumentParser(
        prog='python -m zsbm_ironic.netboot.loaders', description=__doc__
    )
    parser.add_argument(
        '--output',
        type=pathlib.Path,
        default=DEFAULT_FOLDER,
        help='loaders/<digest>/ is made in this folder (%(default)s)',
    )
    parser.add_argument(
        '--refresh', action='store_true', help='fetch again what is there'
    )
    arguments = parser.parse_args()
    try:
        loaders = fetch(
            artifacts.Artifacts(arguments.output, refresh=arguments.refresh)
        )
    except exception.ZsbmError as exc:
        print(exc, file=sys.stderr)
        return 1
    print(loaders.folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
