# SPDX-License-Identifier: Apache-2.0
"""The operating system on a disk: where its parts lie and what they say.

Made from a raw disk in user space; read by the verdict and by whatever
changes the image.
"""

import dataclasses
import pathlib
import re
import shlex
import struct
import tempfile
from collections.abc import Iterable, Mapping

from zsbm_ironic.image import (
    exception,
    initramfs,
    joined,
    menu,
    modules,
    tree,
    volumes,
)

# ELF's e_machine (elf.h) by what uname says.
_MACHINES = {
    0x3E: 'x86_64',
    0xB7: 'aarch64',
    0xF3: 'riscv64',
    0x102: 'loongarch64',
}
_PROGRAMS = ('/bin/sh', '/usr/bin/sh', '/sbin/init', '/usr/bin/env')
# What a kernel names a disk by; another machine names it otherwise.
_BY_BUS = ('/dev/vd', '/dev/sd', '/dev/xvd', '/dev/hd', '/dev/nvme')
_OPTIONAL = frozenset({'nofail', 'noauto'})
# Subvolumes that distributions make the root of: Debian, Ubuntu and openSUSE,
# Fedora.
_SUBVOLUMES = ('/@rootfs', '/@', '/root')
_IFUPDOWN = re.compile(r'^\s*(?:auto|allow-\S+|iface)\s+(\S+)', re.M)
_NAMES = (
    ('/etc/network/interfaces', _IFUPDOWN),
    ('/etc/network/interfaces.d', _IFUPDOWN),
    ('/etc/netplan', re.compile(r'^ {2,8}([a-z][a-z0-9]{2,14}):\s*$', re.M)),
    ('/etc/systemd/network', re.compile(r'^Name=(\S+)$', re.M)),
    (
        '/etc/NetworkManager/system-connections',
        re.compile(r'^interface-name=(\S+)$', re.M),
    ),
    (
        '/etc/sysconfig/network-scripts',
        re.compile(r'^DEVICE="?([^"\s]+)"?$', re.M),
    ),
)
_NO_NAMES = frozenset(
    {
        'lo',
        'ethernets',
        'version',
        'network',
        'match',
        'bonds',
        'vlans',
        'bridges',
    }
)


@dataclasses.dataclass(frozen=True)
class Mount:
    """A line of fstab.

    :ivar what: device, UUID=... and so on, as written.
    """

    what: str
    where: str
    kind: str
    options: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Place:
    """A file system of an OS.

    :ivar subvolume: path of what is mounted below the file system's top, for
        example `/@rootfs`; '' for all of it.
    """

    volume: volumes.Volume
    subvolume: str
    files: tree.Tree


@dataclasses.dataclass(frozen=True)
class System:
    """An operating system.

    :ivar root: the volume that has it.
    :ivar places: its file systems by mount point; has `/`.
    :ivar identifier: ID and VERSION_ID of os-release, for example
        `debian 12`.
    :ivar boots: the menu's own choice, None where no menu can be read.
    :ivar modules: of the kernel that boots.
    :ivar initramfs: of the entry that boots, None where it has none.
    :ivar interfaces: names that its network settings have, sorted.
    """

    disk: volumes.Disk
    root: volumes.Volume
    places: Mapping[str, Place]
    files: joined.JoinedTree
    identifier: str
    title: str
    architecture: str | None
    boots: menu.Entry | None
    modules: modules.Modules | None
    initramfs: initramfs.Contents | None
    mounts: tuple[Mount, ...]
    interfaces: tuple[str, ...]

    def place(self, path: str) -> tuple[Place, str]:
        """Return the file system that has a path, and the path from its top.

        Which is how GRUB and whoever mounts its top name it.
        """
        point, below = self.files.place(path)
        where = self.places[point]
        return where, f'{where.subvolume}{below}'


def find(disk: volumes.Disk) -> System | None:
    """Return the OS on a disk, None where none is found.

    :raises ImageDamaged: something of it cannot be read.
    """
    for volume in disk.volumes:
        files = _root(volume)
        if files is not None:
            return _read(disk, volume, files)
    return None


def _root(volume: volumes.Volume) -> tree.Tree | None:
    files = volume.files()
    if files is None or volume.kind == 'vfat':
        return None
    places = [files]
    if isinstance(files, tree.WithSubvolumes):
        places += [files.below(folder) for folder in _SUBVOLUMES]
    return next((some for some in places if _is_root(some)), None)


def _is_root(files: tree.Tree) -> bool:
    return all(
        any(tree.exists(files, path) for path in paths)
        for paths in (
            ('/etc/fstab', '/etc/os-release'),
            ('/usr/lib/modules', '/lib/modules'),
        )
    )


def _read(disk: volumes.Disk, root: volumes.Volume, base: tree.Tree) -> System:
    mounts = tuple(_fstab(tree.text(base, '/etc/fstab')))
    subvolume = base.prefix if isinstance(base, tree.WithSubvolumes) else ''
    places = {'/': Place(root, subvolume, base)}
    for mount in mounts:
        volume = named(disk, mount.what)
        if (
            volume is None
            or volume == root
            or mount.where
            not in ('/boot', '/boot/efi', '/efi', '/usr', '/var')
        ):
            continue
        if (some := volume.files()) is not None:
            places[mount.where] = Place(volume, '', some)
    files = joined.JoinedTree(
        {point: place.files for point, place in places.items()}
    )
    release = _assignments(
        tree.text(files, '/etc/os-release')
        or tree.text(files, '/usr/lib/os-release')
    )
    entry = menu.default(files, subvolume)
    kernels = tuple(
        sorted(
            files.names(modules.FOLDER) or files.names('/lib/modules'),
            key=menu.natural,
        )
    )
    booted = _release_of(files, entry, kernels)
    identifier = (
        f'{release.get("ID", "unknown")} {release.get("VERSION_ID", "")}'
    )
    return System(
        disk=disk,
        root=root,
        places=places,
        files=files,
        identifier=identifier.strip(),
        title=release.get('PRETTY_NAME', 'an unknown Linux'),
        architecture=_architecture(files),
        boots=entry,
        modules=modules.Modules.of(files, booted) if booted else None,
        initramfs=_initramfs(files, entry),
        mounts=mounts,
        interfaces=_interfaces(files),
    )


def by_bus(what: str) -> bool:
    """Return whether another machine has another name for a device."""
    return what.startswith(_BY_BUS)


def is_device(what: str) -> bool:
    """Return whether a field of fstab names something on a disk."""
    return what.startswith(('UUID=', 'LABEL=', 'PARTUUID=', '/dev/'))


def optional(options: Iterable[str]) -> bool:
    """Return whether the OS starts without a line of fstab."""
    return not _OPTIONAL.isdisjoint(options)


def named(disk: volumes.Disk, what: str) -> volumes.Volume | None:
    """Return the volume that fstab or root= names; None: not here."""
    key, _, value = what.partition('=')
    value = value.strip('"\'').lower()
    for one in disk.volumes:
        if key == 'UUID' and one.uuid and one.uuid.lower() == value:
            return one
        if key == 'LABEL' and one.label and one.label.lower() == value:
            return one
        if key == 'PARTUUID' and one.part_uuid and one.part_uuid == value:
            return one
        if one.start_bytes is None and _is_logical(one, what):
            return one
    number = re.fullmatch(
        r'/dev/(?:[vsxh]+d[a-z]|nvme\d+n\d+p|mmcblk\d+p)(\d+)', what
    )
    if number:
        return next(
            (
                one
                for one in disk.volumes
                if one.name == f'partition {number[1]}'
            ),
            None,
        )
    return None


def _is_logical(volume: volumes.Volume, what: str) -> bool:
    group, _, name = volume.grub.removeprefix('lvm/').partition('-')
    plain = volume.grub.removeprefix('lvm/')
    return what in (f'/dev/mapper/{plain}', f'/dev/{group}/{name}')


def _fstab(text: str) -> list[Mount]:
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and not words[0].startswith('#'):
            options = tuple(words[3].split(',')) if len(words) > 3 else ()
            found.append(Mount(words[0], words[1], words[2], options))
    return found


def _assignments(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equal, value = line.partition('=')
        if not equal:
            continue
        try:
            found[name.strip()] = ' '.join(shlex.split(value))
        except ValueError:
            continue
    return found


def _release_of(
    files: tree.Tree, entry: menu.Entry | None, kernels: tuple[str, ...]
) -> str | None:
    """Return the release of the kernel that boots, if it has modules.

    By what the kernel says of itself; by its file's name where it does not.
    """
    if entry is None:
        return None
    said = _said_by(files, entry.kernel)
    if said in kernels:
        return said
    name = pathlib.PurePosixPath(entry.kernel).name
    found = [release for release in kernels if name.endswith(f'-{release}')]
    return max(found, key=len) if found else None


def _said_by(files: tree.Tree, path: str) -> str | None:
    """Read the release in an x86 kernel's header.

    At 0x20E is where its text is, less 0x200 (Linux/x86 boot protocol 2.00).
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, 'kernel')
        try:
            files.copy(path, copy)
        except FileNotFoundError:
            return None
        with copy.open('rb') as kernel:
            head = kernel.read(0x210)
            if len(head) < 0x210 or head[0x202:0x206] != b'HdrS':
                return None
            kernel.seek(struct.unpack_from('<H', head, 0x20E)[0] + 0x200)
            text = kernel.read(200).partition(b'\0')[0]
    return text.decode(errors='replace').partition(' ')[0]


def _initramfs(
    files: tree.Tree, entry: menu.Entry | None
) -> initramfs.Contents | None:
    if entry is None or not entry.initramfs:
        return None
    names: set[str] = set()
    found: dict[str, frozenset[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in entry.initramfs:
            copy = pathlib.Path(folder, 'initramfs')
            try:
                files.copy(path, copy)
            except FileNotFoundError:
                return None
            part = initramfs.contents(copy)
            names |= part.names
            for release, some in part.modules.items():
                found[release] = found.get(release, frozenset()) | some
    return initramfs.Contents(frozenset(names), found)


def _architecture(files: tree.Tree) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, 'program')
        for path in _PROGRAMS:
            try:
                files.copy(path, copy)
            except (FileNotFoundError, exception.ImageDamaged):
                continue
            with copy.open('rb') as program:
                head = program.read(20)
            if head[:4] == b'\x7fELF' and len(head) == 20:
                return _MACHINES.get(struct.unpack_from('<H', head, 18)[0])
    return None


def _interfaces(files: tree.Tree) -> tuple[str, ...]:
    found: set[str] = set()
    for place, pattern in _NAMES:
        entry = files.entry(place)
        if entry is None:
            continue
        paths = (
            [place]
            if entry.kind is tree.Kind.FILE
            else [f'{place}/{name}' for name in files.names(place)]
        )
        for path in paths:
            found |= set(pattern.findall(tree.text(files, path)))
    return tuple(sorted(found - _NO_NAMES))
