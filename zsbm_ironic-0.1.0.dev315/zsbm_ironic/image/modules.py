# SPDX-License-Identifier: Apache-2.0
"""Which drivers a kernel of an image has, by the tables of its depmod.

Answers the kernel's own question: which module takes the device with this
modalias? Reads modules.alias, modules.dep, modules.softdep, modules.builtin
and modules.builtin.modinfo (kmod, depmod(8); the last since Linux 5.2),
executes nothing.
"""

import collections
import dataclasses
import fnmatch
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping

from zsbm_ironic.image import tree

FOLDER = '/usr/lib/modules'
# A kernel's tables have the aliases of a driver that is a module, not of one
# that is built in: those of the disks that most kernels have built in, as
# their source says (drivers/nvme/host/pci.c, drivers/ata/ahci.c,
# drivers/scsi/sd.c, drivers/virtio, drivers/block/virtio_blk.c).
BUILTIN_ALIASES = (
    ('pci:v*d*sv*sd*bc01sc08i02*', 'nvme'),
    ('pci:v*d*sv*sd*bc01sc06i01*', 'ahci'),
    ('scsi:t-0x00*', 'sd_mod'),
    ('pci:v00001AF4d*sv*sd*bc*sc*i*', 'virtio_pci'),
    ('virtio:d00000001v*', 'virtio_net'),
    ('virtio:d00000002v*', 'virtio_blk'),
)
# File systems of a root by blkid's name, and the module of each.
FILESYSTEMS = {
    'ext2': 'ext4',
    'ext3': 'ext4',
    'ext4': 'ext4',
    'xfs': 'xfs',
    'btrfs': 'btrfs',
}
_PLAIN = re.compile(r'[^*?\[]*')


@dataclasses.dataclass(frozen=True)
class Driver:
    """What a device needs.

    :ivar names: modules that take it, any one of which will do.
    :ivar builtin: the kernel has one of them in itself.
    """

    names: frozenset[str]
    builtin: bool


class Modules:
    """The modules of one kernel.

    :param folder: where they are in the image; its name is the release.
    :param aliases: pattern and module, in any order.
    :param paths: path below the folder by module, and what it depends on.
    :param builtin: modules that are part of the kernel.
    :param soft: what a module asks the kernel for by name before it works,
        as ext4 for crc32c; names of modules or aliases.
    """

    def __init__(
        self,
        folder: str,
        aliases: Iterable[tuple[str, str]],
        paths: Mapping[str, tuple[str, tuple[str, ...]]],
        builtin: frozenset[str],
        soft: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._soft = soft
        self.folder = folder
        self.release = pathlib.PurePosixPath(folder).name
        self.paths = paths
        self.builtin = builtin
        self._aliases: dict[str, list[tuple[str, str]]] = (
            collections.defaultdict(list)
        )
        known = [one for one in BUILTIN_ALIASES if one[1] in builtin]
        for pattern, module in (*aliases, *known):
            self._aliases[pattern.partition(':')[0]].append((pattern, module))

    @classmethod
    def of(cls, files: tree.Tree, release: str) -> 'Modules':
        """Read the tables of one kernel of an image."""
        folder = f'{FOLDER}/{release}'
        if not tree.exists(files, folder):
            folder = f'/lib/modules/{release}'
        return cls._read(
            folder, lambda name: tree.text(files, f'{folder}/{name}')
        )

    @classmethod
    def of_kit(cls, folder: pathlib.Path, release: str) -> 'Modules':
        """Read the tables of a kernel that is on this host."""

        def table(name: str) -> str:
            path = folder / name
            return path.read_text() if path.exists() else ''

        return cls._read(f'{FOLDER}/{release}', table)

    @classmethod
    def _read(cls, folder: str, table: Callable[[str], str]) -> 'Modules':
        return cls(
            folder,
            [
                *_aliases(table('modules.alias')),
                *_builtin_aliases(table('modules.builtin.modinfo')),
            ],
            _paths(table('modules.dep')),
            frozenset(
                name_of(line) for line in table('modules.builtin').split()
            ),
            _soft(table('modules.softdep')),
        )

    def driver(self, modalias: str) -> Driver | None:
        """Return what takes a device; None where this kernel cannot."""
        found = {
            module
            for pattern, module in self._aliases[modalias.partition(':')[0]]
            if modalias.startswith(_literal(pattern))
            and fnmatch.fnmatchcase(modalias, pattern)
        }
        usable = {
            name
            for name in found
            if name in self.paths or name in self.builtin
        }
        if not usable:
            return None
        return Driver(frozenset(usable), bool(usable & self.builtin))

    def closure(self, names: Iterable[str]) -> set[str]:
        """Return modules and all that they depend on, without builtin ones.

        What they ask for by name comes along, each that answers to it. What
        the tables name and the kernel has not is left out.
        """
        return self._reached(names, with_asked=True) & self.paths.keys()

    def needs(self, name: str) -> list[frozenset[str]]:
        """Return what a module does not work without; one of each will do."""
        reached = self._reached([name], with_asked=False) - self.builtin
        return [
            some
            for one in sorted(reached)
            for some in (frozenset({one}), *self._asked(one))
        ]

    def _reached(self, names: Iterable[str], *, with_asked: bool) -> set[str]:
        """Return modules and what they depend on, there or not."""
        waiting = list(names)
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            waiting += self.paths.get(name, ('', ()))[1]
            if with_asked:
                waiting += [one for some in self._asked(name) for one in some]
        return found

    def _asked(self, name: str) -> list[frozenset[str]]:
        """Return modules for each name that a module asks for."""
        groups = []
        for wanted in self._soft.get(name, ()):
            module = wanted.replace('-', '_')
            driver = self.driver(wanted)
            if module in self.paths:
                groups.append(frozenset({module}))
            elif module not in self.builtin and driver and not driver.builtin:
                groups.append(driver.names)
        return groups


def name_of(path: str) -> str:
    """Return a module's name; `-` and `_` are the same in it."""
    return pathlib.PurePath(path).name.partition('.ko')[0].replace('-', '_')


def _literal(pattern: str) -> str:
    match = _PLAIN.match(pattern)
    return match[0] if match else ''


def _aliases(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == 'alias':
            yield words[1], words[2].replace('-', '_')


def _builtin_aliases(text: str) -> Iterable[tuple[str, str]]:
    """Read NUL-ended `module.alias=pattern` among the other fields."""
    for field in text.split('\0'):
        name, equal, value = field.partition('=')
        module, _, key = name.partition('.')
        if equal and key == 'alias':
            yield value, module.replace('-', '_')


def _soft(text: str) -> dict[str, tuple[str, ...]]:
    """Read lines as `softdep ext4 pre: crypto-crc32c post: other`."""
    soft: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        before, _, after = line.partition(' pre:')
        words = before.split()
        if len(words) == 2 and words[0] == 'softdep':
            wanted = tuple(after.partition('post:')[0].split())
            name = words[1].replace('-', '_')
            soft[name] = soft.get(name, ()) + wanted
    return soft


def _paths(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    paths = {}
    for line in text.splitlines():
        path, colon, needed = line.partition(':')
        if colon:
            names = tuple(name_of(one) for one in needed.split())
            paths[name_of(path)] = (path, names)
    return paths
