# SPDX-License-Identifier: Apache-2.0
"""Gives an initramfs the drivers that the root disk needs.

Another archive is put behind those that the initramfs has: the kernel unpacks
all of them, the last one wins. Modules are the image's own, so nothing is
built and nothing of the image is run. A drop-in makes the image's own program
choose more drivers as well, at its next kernel.
"""

import gzip
import pathlib
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence

from zsbm_ironic.image import (
    editing,
    hardware,
    initramfs,
    modules,
    newc,
    system,
    tree,
)

# The kernel's tables that modprobe and udev read.
_TABLES = frozenset(
    {
        'modules.alias',
        'modules.alias.bin',
        'modules.builtin',
        'modules.builtin.alias.bin',
        'modules.builtin.bin',
        'modules.dep',
        'modules.dep.bin',
        'modules.order',
        'modules.softdep',
    }
)
_DROP_INS = {
    '/etc/initramfs-tools/conf.d/zsbm': (
        '# This server is not the VM that the image was made on.\n'
        'MODULES=most\n'
    ),
    # An exclusive list of a VM, where there is one, is emptied.
    '/etc/dracut.conf.d/zz-zsbm.conf': (
        '# This server is not the VM that the image was made on.\n'
        'hostonly="no"\ndrivers=""\nfilesystems=""\n'
    ),
}
_ALIGNMENT = 512
# A third of the time of the usual 6, a tenth larger.
_GZIP_LEVEL = 1


def missing(
    found: system.System, wanted: Sequence[hardware.Hardware]
) -> frozenset[str]:
    """Return modules that the kernel has and its initramfs has not.

    A device that the kernel has no driver for has none here: no initramfs
    mends that.
    """
    drivers = found.modules
    if drivers is None:
        return frozenset()
    needed: set[str] = set()
    for modalias in {name for one in wanted for name in one.disk}:
        driver = drivers.driver(modalias)
        if driver and not driver.builtin:
            needed |= driver.names
    filesystem = modules.FILESYSTEMS.get(found.root.kind)
    if filesystem:
        needed.add(filesystem)
    # A logical volume is mapped by this one.
    if found.root.start_bytes is None:
        needed.add('dm_mod')
    own = found.initramfs
    return frozenset(
        name
        for name in drivers.closure(needed)
        if own is None or not own.has(drivers.release, name)
    )


def add(
    found: system.System,
    wanted: Sequence[hardware.Hardware],
    image: editing.Editing,
) -> None:
    """Add the drivers that are missing.

    :raises NoRoom: the file system of /boot is full.
    """
    entry, drivers = found.boots, found.modules
    names = missing(found, wanted)
    if not names or entry is None or drivers is None or not entry.initramfs:
        return
    path = entry.initramfs[-1]
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        whole = work / 'initramfs'
        found.files.copy(path, whole)
        there = found.files.names(drivers.folder)
        content = {}
        for number, one in enumerate(files_of(drivers, names, there)):
            content[one] = work / str(number)
            found.files.copy(f'{drivers.folder}/{one}', content[one])
        append(whole, found.initramfs, drivers.release, content)
        image.write(path, whole)
    image.note(
        'early-drivers',
        f'{path} has also {", ".join(sorted(names))}',
        'the root disk of the server needs it',
    )
    change_settings(found, image)


def change_settings(found: system.System, image: editing.Editing) -> None:
    """Have the image's own program choose more drivers from now on."""
    for path, text in _DROP_INS.items():
        folder = str(pathlib.PurePosixPath(path).parent)
        if not tree.exists(found.files, folder):
            continue
        if tree.text(found.files, path) == text:
            continue
        image.write_text(path, text)
        image.note(
            'initramfs-settings',
            f'{path} is new',
            'the next initramfs must not be for a VM alone',
        )


def files_of(
    drivers: modules.Modules, names: Iterable[str], there: Iterable[str]
) -> list[str]:
    """Return what modules need in an initramfs, below their folder.

    :param there: names of the files in that folder.
    """
    tables = sorted(_TABLES & set(there))
    return tables + [drivers.paths[name][0] for name in sorted(names)]


def append(
    whole: pathlib.Path,
    own: initramfs.Contents | None,
    release: str,
    content: Mapping[str, pathlib.Path],
) -> None:
    """Put an archive with modules behind an initramfs.

    :param own: what the initramfs has.
    :param content: files by their path below the folder of the modules.
    """
    folder = _folder_in(own, release)
    made = set(own.names) if own else set()
    with whole.open('ab') as plain:
        # Zeros between two archives; the next begins on 4 bytes.
        plain.write(b'\0' * (-plain.tell() % _ALIGNMENT + _ALIGNMENT))
        with gzip.GzipFile(
            '', 'wb', _GZIP_LEVEL, plain, mtime=newc.TIMESTAMP
        ) as sink:
            archive = newc.Writer(sink)
            for name, source in content.items():
                place = pathlib.PurePosixPath(folder, name)
                # A folder that is there already may be a link to another,
                # and a folder in an archive would take its place.
                for parent in reversed(place.parents[:-1]):
                    if str(parent) not in made:
                        made.add(str(parent))
                        archive.add(str(parent), stat.S_IFDIR | 0o755)
                archive.add(
                    str(place), stat.S_IFREG | 0o644, source.read_bytes()
                )
            archive.close()


def _folder_in(own: initramfs.Contents | None, release: str) -> str:
    """Return where an initramfs has, or would have, modules of a kernel."""
    names = own.names if own else frozenset()
    merged = any(name.startswith('usr/lib/modules/') for name in names)
    separate = any(name.startswith('lib/modules/') for name in names)
    place = 'lib/modules' if separate and not merged else 'usr/lib/modules'
    return f'{place}/{release}'
