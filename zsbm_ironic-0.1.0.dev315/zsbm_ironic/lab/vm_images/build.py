# SPDX-License-Identifier: Apache-2.0
"""Builds one VM image of the table, or takes it from the cache.

Called by the command line of this room and by tests of the conversion. Needs
root: packages are installed in a chroot. Owns the cache kind `vm-image`.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil

from zsbm_ironic.common import artifacts, process, progress
from zsbm_ironic.lab.images import debian, disk
from zsbm_ironic.lab.vm_images import (
    bootloader,
    configure,
    disks,
    fill,
    menu,
    plan,
    roots,
    specimens,
)

KIND = 'vm-image'
IMAGE = 'disk.qcow2'
FACTS = 'facts.json'
_NEEDED_BYTES = 3 << 30
_CODE = (bootloader, configure, disk, disks, fill, menu, plan)


@dataclasses.dataclass(frozen=True)
class VmImage:
    """A VM image that is ready to be converted.

    :ivar path: qcow2.
    :ivar sha256: of that file.
    :ivar size_bytes: of that file.
    :ivar virtual_size_bytes: of the disk in it.
    :ivar kernel: version of the one kernel in it.
    """

    specimen: specimens.Specimen
    path: pathlib.Path
    sha256: str
    size_bytes: int
    virtual_size_bytes: int
    kernel: str


def build(cache: artifacts.Artifacts, specimen: specimens.Specimen) -> VmImage:
    """Return the VM image, built first where it is not there yet.

    :raises ToolMissing: a program is not installed.
    :raises DownloadFailed: the mirror cannot be reached.
    :raises BuildFailed: a package is missing or does not install.
    :raises DiskTooSmall: the cache folder is too full.
    """
    cache = with_room(cache)
    digest = key(specimen)
    if not (found := cache.find(KIND, digest)):
        disks.check_tools(specimen)
        base = roots.build(cache, specimen.system)

        def make(target: pathlib.Path, report: progress.Progress) -> None:
            _build(specimen, base, plan.Identity(digest), target, report)

        found = cache.get(KIND, digest, make, needs_bytes=_NEEDED_BYTES)
    facts = json.loads((found / FACTS).read_text())
    return VmImage(specimen=specimen, path=found / IMAGE, **facts)


def with_room(cache: artifacts.Artifacts) -> artifacts.Artifacts:
    """Return the cache, but such that it keeps the whole table."""
    rows = len(specimens.SPECIMENS)
    return dataclasses.replace(cache, kept=max(cache.kept, rows + 2))


def key(specimen: specimens.Specimen) -> str:
    """Return the digest of all that goes into the image."""
    return artifacts.digest(
        {
            'root': roots.key(specimen.system),
            'specimen': repr(specimen),
            'size': str(specimens.VIRTUAL_MIB),
            'code': pathlib.Path(__file__).read_bytes(),
            **{
                str(module.__name__): pathlib.Path(
                    str(module.__file__)
                ).read_bytes()
                for module in _CODE
            },
            **{path.name: path.read_bytes() for path in _data()},
        }
    )


def _data() -> list[pathlib.Path]:
    return sorted(path for path in configure.DATA.iterdir() if path.is_file())


def _build(
    specimen: specimens.Specimen,
    base: pathlib.Path,
    identity: plan.Identity,
    target: pathlib.Path,
    report: progress.Progress,
) -> None:
    root, work = target / 'root', target / 'work'
    root.mkdir()
    work.mkdir()
    raw, image = target / 'disk.raw', target / IMAGE
    name = f'VM image {specimen.name}'
    with report.step(f'{name}: configure'):
        debian.unpack(base / roots.ARCHIVE, root)
        configure.apply(root, specimen, identity)
        loader = bootloader.install(root, specimen, identity, work)
        kernel = bootloader.kernel_version(root)
    with report.step(f'{name}: disk'):
        disks.write(raw, root, specimen, identity, loader, work)
    with report.step(f'{name}: compress'):
        process.run(
            ['qemu-img', 'convert', '-q', '-c', '-W', '-m', '4']
            + ['-o', 'compression_type=zstd', '-f', 'raw', '-O', 'qcow2']
            + [str(raw), str(image)],
            timeout_s=600,
        )
    raw.unlink()
    for folder in (root, work):
        shutil.rmtree(folder)
    with image.open('rb') as source:
        sha256 = hashlib.file_digest(source, 'sha256').hexdigest()
    facts = {
        'sha256': sha256,
        'size_bytes': image.stat().st_size,
        'virtual_size_bytes': specimens.VIRTUAL_MIB * specimens.MIB,
        'kernel': kernel,
    }
    (target / FACTS).write_text(json.dumps(facts) + '\n')
    shutil.copyfile(base / roots.PACKAGES, target / roots.PACKAGES)
