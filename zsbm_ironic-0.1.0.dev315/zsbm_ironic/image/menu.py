# SPDX-License-Identifier: Apache-2.0
"""What would boot: the entry that the image's boot loader starts by itself.

Reads the files that GRUB's and the Boot Loader Specification's tools write;
it is no interpreter of GRUB's language: an entry whose lines cannot be read
is told as such, never guessed.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator

from zsbm_ironic.image import tree

GRUB = ('/boot/grub/grub.cfg', '/boot/grub2/grub.cfg')
BLS = '/boot/loader/entries'
ENVIRONMENTS = ('/boot/grub2/grubenv', '/boot/grub/grubenv')
_ENTRY = re.compile(r'^\s*menuentry\s+(?:\'([^\']*)\'|"([^"]*)"|(\S+))')
_VARIABLE = re.compile(r'\$\{?(\w+)\}?')
_LINUX = ('linux', 'linux16', 'linuxefi')
_INITRD = ('initrd', 'initrd16', 'initrdefi')


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of a boot menu.

    :ivar kernel: path in the image.
    :ivar initramfs: paths in the image.
    :ivar parameters: the kernel's, as written.
    :ivar written_in: the file that says so.
    """

    title: str
    kernel: str
    initramfs: tuple[str, ...]
    parameters: tuple[str, ...]
    written_in: str

    def parameter(self, name: str) -> str | None:
        """Return the value of the last `name=value`, '' for a bare name."""
        value = None
        for word in self.parameters:
            key, _, rest = word.partition('=')
            if key == name:
                value = rest
        return value


def default(files: tree.Tree, subvolume: str = '') -> Entry | None:
    """Return the entry that boots; None where no menu can be read.

    :param subvolume: path of the OS below the top of its file system, from
        where GRUB counts, for example `/@rootfs` on btrfs.
    """
    for path in GRUB:
        entries = list(_grub(files, path, subvolume))
        if entries:
            return entries[0]
    entries = list(_bls(files, subvolume))
    return entries[0] if entries else None


def _grub(files: tree.Tree, path: str, subvolume: str) -> Iterator[Entry]:
    title, kernel = '', ''
    words: tuple[str, ...] = ()
    initramfs: tuple[str, ...] = ()
    for line in [*tree.text(files, path).splitlines(), 'menuentry end']:
        started = _ENTRY.match(line)
        parts = line.split()
        if started:
            if kernel and not _VARIABLE.search(' '.join((kernel, *words))):
                yield Entry(title, kernel, initramfs, words, path)
            title = next((one for one in started.groups() if one), '')
            kernel, words, initramfs = '', (), ()
        elif parts and parts[0] in _LINUX and len(parts) > 1:
            kernel = _place(files, parts[1], subvolume)
            words = tuple(parts[2:])
        elif parts and parts[0] in _INITRD:
            initramfs = tuple(
                _place(files, one, subvolume) for one in parts[1:]
            )


def _bls(files: tree.Tree, subvolume: str) -> Iterator[Entry]:
    """Read entries of the Boot Loader Specification, newest first.

    `options $kernelopts` is what Fedora's GRUB keeps in its environment.
    """
    environment: dict[str, str] = {}
    for path in ENVIRONMENTS:
        for line in tree.text(files, path).splitlines():
            name, equal, value = line.partition('=')
            if equal:
                environment.setdefault(name, value)
    found = []
    for name in files.names(BLS):
        if not name.endswith('.conf'):
            continue
        path = f'{BLS}/{name}'
        fields: dict[str, list[str]] = {}
        for line in tree.text(files, path).splitlines():
            key, _, value = line.strip().partition(' ')
            fields.setdefault(key, []).append(value.strip())
        if 'linux' not in fields:
            continue
        options = _VARIABLE.sub(
            lambda match: environment.get(match[1], ''),
            ' '.join(fields.get('options', ())),
        )
        entry = Entry(
            title=fields.get('title', [name])[0],
            kernel=_place(files, fields['linux'][0], subvolume),
            initramfs=tuple(
                _place(files, one, subvolume)
                for line in fields.get('initrd', ())
                for one in line.split()
                if not one.startswith('$')
            ),
            parameters=tuple(options.split()),
            written_in=path,
        )
        saved = environment.get('saved_entry') == name.removesuffix('.conf')
        version = fields.get('version', [''])[0]
        found.append((saved, 'rescue' not in name, natural(version), entry))
    found.sort(key=lambda one: one[:3], reverse=True)
    yield from (entry for *_, entry in found)


def natural(version: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts 6.10 above 6.9."""
    return [
        (1, int(part), '') if part.isdigit() else (0, 0, part)
        for part in re.split(r'(\d+)', version)
        if part
    ]


def _place(files: tree.Tree, path: str, subvolume: str) -> str:
    """Return a path of a menu as one of the OS.

    A menu counts from the top of the file system that has the kernel: that
    of /boot, or that of the OS.
    """
    path = re.sub(r'^\([^)]*\)', '', path)
    if subvolume and path.startswith(f'{subvolume}/'):
        path = path.removeprefix(subvolume)
    inside = pathlib.PurePosixPath('/boot', path.lstrip('/'))
    if not tree.exists(files, path) and tree.exists(files, str(inside)):
        return str(inside)
    return path
