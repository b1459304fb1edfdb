# SPDX-License-Identifier: Apache-2.0
"""QEMU and UEFI firmware of Debian 13, for what Debian 12 cannot start.

Called by the lab for each machine of such an architecture. Debian 12 has no
firmware for riscv64 and loongarch64, and its QEMU 7.2 does not run that of
Debian 13: riscv64 stays silent with it in flash, and loongarch64 has no
flash. So both come from Debian 13, through an apt of our own, with every
library that they need and the dynamic loader that goes with it: nothing is
installed on the host, and it runs on any release. Owns the cache kind
`newer-qemu`.
"""

import dataclasses
import json
import pathlib
import shutil

from zsbm_ironic.common import apt, artifacts, exception, process, progress

KIND = 'newer-qemu'
RELEASE = 'trixie'
# Not pinned: the newest that the archive signs.
PACKAGES = (
    'qemu-system-riscv',  # riscv64, and OpenSBI below its UEFI
    'qemu-system-misc',  # loongarch64
    'qemu-efi-riscv64',
    'qemu-efi-loongarch64',
)
ARCHITECTURES = ('riscv64', 'loongarch64')
NEEDED_BYTES = 1 << 30
MANIFEST = 'manifest.json'

_LIBRARIES = 'usr/lib/x86_64-linux-gnu'
# What is kept of the packages, three quarters of which are other targets.
_KEPT = (
    _LIBRARIES,
    'usr/lib/riscv64-linux-gnu/opensbi',
    'usr/share/qemu',
    *(f'usr/bin/qemu-system-{name}' for name in ARCHITECTURES),
)
# No library or module of the host must be mixed in, so the program is started
# by the dynamic loader that it was linked for.
_START = """\
#!/bin/sh
root=${{0%/*}}/../root
export QEMU_MODULE_DIR="$root/{libraries}/qemu"
exec "$root/{libraries}/ld-linux-x86-64.so.2" \\
    --library-path "$root/{libraries}" \\
    "$root/usr/bin/qemu-system-{arch}" -L "$root/usr/share/qemu" "$@"
"""
_UNPACK_TIMEOUT_S = 120


@dataclasses.dataclass(frozen=True)
class NewerQemu:
    """The unpacked programs.

    :ivar folder: has bin/ and firmware/.
    """

    folder: pathlib.Path

    @property
    def firmware(self) -> pathlib.Path:
        """The folder that ZSBM_FIRMWARE_DIR is to name."""
        return self.folder / 'firmware'

    def program(self, arch: str) -> pathlib.Path:
        """Return the program that runs machines of `arch`."""
        return self.folder / 'bin' / f'qemu-system-{arch}'

    def environment(self, path: str) -> dict[str, str]:
        """Return the variables by which a machine finds all of this.

        :param path: PATH as it is without it.
        """
        return {
            'PATH': f'{self.folder / "bin"}:{path}',
            'ZSBM_FIRMWARE_DIR': str(self.firmware),
        }


def key() -> str:
    """Return the digest of all that decides what the entry has in it."""
    return artifacts.digest(
        {
            'packages': ' '.join((RELEASE, *PACKAGES)),
            'kept': ' '.join(_KEPT),
            'start': _START,
        }
    )


def fetch(cache: artifacts.Artifacts) -> NewerQemu:
    """Return the programs, fetched first where they are not there yet.

    :raises DownloadFailed: the mirror cannot be reached; try again.
    :raises BuildFailed: a package is missing there, or does not run here.
    """
    return NewerQemu(cache.get(KIND, key(), _fetch, needs_bytes=NEEDED_BYTES))


def _fetch(target: pathlib.Path, report: progress.Progress) -> None:
    work = target / 'work'
    unpacked = work / 'unpacked'
    unpacked.mkdir(parents=True)
    with report.step(f'QEMU of {RELEASE}: fetch'):
        private = apt.PrivateApt(work / RELEASE, RELEASE)
        private.update()
        packages = private.download_whole(PACKAGES)
    with report.step(f'QEMU of {RELEASE}: unpack'):
        for package in packages:
            process.run(
                ['dpkg-deb', '--extract', package.path, unpacked],
                timeout_s=_UNPACK_TIMEOUT_S,
            )
        _keep(unpacked, target)
    for arch in ARCHITECTURES:
        _make_program(NewerQemu(target).program(arch), arch)
    manifest = {one.name: [one.version, one.sha256] for one in packages}
    (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + '\n')
    shutil.rmtree(work)


def _keep(unpacked: pathlib.Path, target: pathlib.Path) -> None:
    try:
        for name in _KEPT:
            place = target / 'root' / name
            place.parent.mkdir(parents=True, exist_ok=True)
            (unpacked / name).rename(place)
        for arch in ARCHITECTURES:
            shutil.copytree(
                unpacked / f'usr/share/qemu-efi-{arch}',
                target / 'firmware',
                dirs_exist_ok=True,
            )
    except OSError as exc:
        raise exception.BuildFailed(
            what=f'QEMU of {RELEASE}', why=f'{PACKAGES}: {exc}'
        ) from exc


def _make_program(program: pathlib.Path, arch: str) -> None:
    """Write what starts QEMU, and see that it finds its libraries.

    :raises BuildFailed: it does not start here.
    """
    program.parent.mkdir(exist_ok=True)
    program.write_text(_START.format(libraries=_LIBRARIES, arch=arch))
    program.chmod(0o755)
    try:
        process.run([program, '--version'], timeout_s=30)
    except exception.ProcessFailed as exc:
        raise exception.BuildFailed(
            what=f'QEMU of {RELEASE} for {arch}', why=exc.fields['stderr']
        ) from exc
