# SPDX-License-Identifier: Apache-2.0
"""Files on ext2, ext3 and ext4, by debugfs of e2fsprogs: no mount, no root.

Reads what GRUB's own driver does not: newer features, types and links. What
is written is checked for room before, because debugfs has no way back.
"""

import dataclasses
import pathlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, limits, tree

_KINDS = {
    'regular': tree.Kind.FILE,
    'directory': tree.Kind.FOLDER,
    'symlink': tree.Kind.LINK,
}
_TYPE = re.compile(r'Type: (\S+)')
_SIZE = re.compile(r'\bSize: (\d+)')
_FAST = re.compile(r'^Fast link dest: "(.*)"$', re.M)
_MODE = re.compile(r'\bMode:\s+(\d+)')
_OWNER = re.compile(r'^User:\s+(\d+)\s+Group:\s+(\d+)', re.M)
_FREE = re.compile(r'^Free blocks:\s+(\d+)', re.M)
_BLOCK = re.compile(r'^Block size:\s+(\d+)', re.M)
_ATTRIBUTE = re.compile(r'^  ([\w.-]+) \(\d+\)', re.M)
_ATTRIBUTE_BLOCK = re.compile(r'^File ACL:\s+(\d+)', re.M)
_FEATURES = re.compile(r'^Filesystem features:\s+(.*)$', re.M)
# What folders and the map of a new file's blocks take, at most.
_MARGIN_BYTES = 64 << 10
_BLOCK_BYTES = 4096
# What SELinux asks for of each file; a new one gets that of its folder.
_LABEL = 'security.selinux'
# Where a small file itself is kept (feature inline_data).
_CONTENT = 'system.data'
_PROMPT = 'debugfs:  '
# What it says behind the name of a request that it does not know.
_HINT = '  Type "?" for a request list.'


@dataclasses.dataclass(frozen=True)
class _New:
    """Where something new goes.

    :ivar above: the folder on the way that is there already.
    :ivar missing: folders below it, from the top.
    """

    above: str
    missing: tuple[str, ...]
    name: str

    @property
    def folder(self) -> str:
        return self.missing[-1] if self.missing else self.above

    @property
    def place(self) -> str:
        return f'{self.folder.rstrip("/")}/{self.name}'


class ExtTree:
    """One ext file system in a raw image.

    :param image: raw.
    :param offset_bytes: where the file system begins.
    """

    def __init__(self, image: pathlib.Path, offset_bytes: int) -> None:
        self._device = f'{image}?offset={offset_bytes}'
        self.name = image.name
        self._reader: _Reader | None = None
        self._known: dict[str, tree.Entry | None] = {}

    def entry(self, path: str) -> tree.Entry | None:
        """Return what is at a path, at the end of its links."""
        place = tree.resolve(self._look, path)
        return None if place is None else self._look(place)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        place = self._place(path, tree.Kind.FOLDER)
        if place is None:
            return []
        names = []
        for line in self._ask('ls -p', place).splitlines():
            # /inode/mode/owner/group/name/size/
            parts = line.split('/')
            if len(parts) == 8 and parts[1] != '0':
                names.append(parts[5])
        return sorted(set(names) - {'.', '..', ''})

    def copy(self, path: str, target: pathlib.Path) -> None:
        """Copy a file's content out."""
        place = self._place(path, tree.Kind.FILE)
        if place is None:
            raise FileNotFoundError(path)
        _, wrong = self._run(f'dump {quoted(place)} {quoted(str(target))}')
        if wrong.strip():
            raise exception.ImageDamaged(
                image=self.name, what=path, why=wrong.strip().splitlines()[0]
            )

    def write(self, path: str, source: pathlib.Path) -> None:
        """Put a file's content at a path.

        :raises NoRoom: the file system is full; it is as it was before.
        :raises NotEditable: its journal has to be replayed first.
        :raises MountNeeded: what is there has too many attributes; debugfs
            would lose their block.
        """
        place = tree.resolve(self._look, path)
        with tempfile.TemporaryDirectory() as folder:
            if place is None:
                new = self._new(path)
                place = new.place
                kept = self._attributes(new.above, folder, {_LABEL})
                requests = list(_folders(new.missing, kept))
                mode, owner = '0100644', ('0', '0')
                old_bytes = 0
            else:
                kept = self._attributes(place, folder)
                said = self._ask('stat', place)
                if _first(_ATTRIBUTE_BLOCK, said) != '0':
                    raise exception.MountNeeded(
                        image=self.name,
                        what=path,
                        why='its attributes have a block of their own, which '
                        'is not written to without a mount',
                    )
                mode = f'010{_first(_MODE, said):0>4}'
                match = _OWNER.search(said)
                owner = (match[1], match[2]) if match else ('0', '0')
                old_bytes = int(_first(_SIZE, said))
                requests = [f'rm {quoted(place)}']
            self._check_room(path, source.stat().st_size, old_bytes)
            whole = pathlib.PurePosixPath(place)
            requests += [
                # It takes a name, not a path.
                f'cd {quoted(str(whole.parent))}',
                f'write {quoted(str(source))} {quoted(whole.name)}',
                f'sif {quoted(place)} mode {mode}',
                f'sif {quoted(place)} uid {owner[0]}',
                f'sif {quoted(place)} gid {owner[1]}',
                *_attributes_of(place, kept),
            ]
            self._change(path, requests)

    def write_tree(self, path: str, source: pathlib.Path) -> None:
        """Put files and folders below a new folder; raises as `write`."""
        new = self._new(path)
        top = pathlib.PurePosixPath(new.place)
        found = [source, *sorted(source.rglob('*'))]
        folders = [
            top / one.relative_to(source) for one in found if one.is_dir()
        ]
        files = [
            one for one in found if one.is_file() and not one.is_symlink()
        ]
        with tempfile.TemporaryDirectory() as folder:
            kept = self._attributes(new.above, folder, {_LABEL})
            requests = list(_folders([*new.missing, *map(str, folders)], kept))
            size = 0
            for one in files:
                place = top / one.relative_to(source)
                size += one.stat().st_size + _BLOCK_BYTES
                requests += [
                    f'cd {quoted(str(place.parent))}',
                    f'write {quoted(str(one))} {quoted(place.name)}',
                    f'sif {quoted(place.name)} mode 0100644',
                    *_attributes_of(place.name, kept),
                ]
            self._check_room(path, size, 0)
            self._change(path, requests)

    def _new(self, path: str) -> _New:
        """Return where something goes that is not there yet."""
        whole = pathlib.PurePosixPath('/', path)
        above = '/'
        missing: list[str] = []
        for part in whole.parts[1:-1]:
            last = missing[-1] if missing else above
            step = f'{last.rstrip("/")}/{part}'
            place = None if missing else tree.resolve(self._look, step)
            if place is None:
                missing.append(step)
            else:
                above = place
        return _New(above, tuple(missing), whole.name)

    def _attributes(
        self, place: str, folder: str, only: Iterable[str] = ()
    ) -> dict[str, str]:
        """Return names of extended attributes, and files with their values.

        :param only: these alone; all where it is empty.
        """
        kept = {}
        names = _ATTRIBUTE.findall(self._ask('ea_list', place))
        for number, name in enumerate(names):
            if name == _CONTENT or (only and name not in only):
                continue
            kept[name] = f'{folder}/{number}'
            self._run(f'ea_get -f {kept[name]} {quoted(place)} {name}')
        return kept

    def _check_room(self, path: str, size: int, old_bytes: int) -> None:
        said, _ = self._run('show_super_stats -h')
        if 'needs_recovery' in _first(_FEATURES, said).split():
            raise exception.NotEditable(
                image=self.name,
                what=path,
                why='its file system was not unmounted; start the VM and '
                'shut it down',
            )
        free = int(_first(_FREE, said)) * int(_first(_BLOCK, said))
        if size + _MARGIN_BYTES > free + old_bytes:
            raise exception.NoRoom(
                image=self.name,
                where='its file system',
                free_kib=(free + old_bytes) >> 10,
                what=path,
                needed_kib=(size + _MARGIN_BYTES) >> 10,
            )

    def _change(self, path: str, requests: list[str]) -> None:
        with tempfile.NamedTemporaryFile('w') as script:
            script.write('\n'.join(requests) + '\n')
            script.flush()
            try:
                done = process.run(
                    ['debugfs', '-w', '-f', script.name, self._device],
                    timeout_s=limits.WRITE_S,
                    limits=limits.READER,
                )
            except common_exception.ZsbmError as exc:
                raise exception.NotEditable(
                    image=self.name, what=path, why=str(exc)
                ) from exc
        self._known.clear()
        self._reader = None
        # The first line is its version; it says all else that goes wrong
        # here, and ends with 0.
        wrong = done.stderr.strip().splitlines()[1:]
        if wrong:
            raise exception.NotEditable(
                image=self.name, what=path, why=wrong[0]
            )

    def _place(self, path: str, kind: tree.Kind) -> str | None:
        place = tree.resolve(self._look, path)
        if place is None:
            return None
        found = self._look(place)
        return place if found and found.kind is kind else None

    def _look(self, path: str) -> tree.Entry | None:
        if path not in self._known:
            self._known[path] = self._stat(path)
        return self._known[path]

    def _stat(self, path: str) -> tree.Entry | None:
        said = self._ask('stat', path)
        found = _TYPE.search(said)
        if found is None:
            return None
        kind = _KINDS.get(found[1], tree.Kind.OTHER)
        size = _SIZE.search(said)
        length = int(size[1]) if size else 0
        if kind is not tree.Kind.LINK:
            return tree.Entry(kind, length)
        fast = _FAST.search(said)
        target = fast[1] if fast else self._ask('cat', path)
        return tree.Entry(kind, length, target)

    def _ask(self, command: str, path: str) -> str:
        return self._run(f'{command} {quoted(path)}')[0]

    def _run(self, request: str) -> tuple[str, str]:
        """Return the answer to a request, and what was wrong with it."""
        try:
            if self._reader is None:
                self._reader = _Reader(self._device)
            return self._reader.ask(request)
        except common_exception.ZsbmError as exc:
            self._reader = None
            raise exception.ImageDamaged(
                image=self.name, what='an ext file system', why=str(exc)
            ) from exc


class _Reader:
    """A debugfs that reads one file system for many requests.

    What it read stays as it was: a new one is needed after a change.

    :raises ProcessFailed: it is none that it knows.
    """

    def __init__(self, device: str) -> None:
        # Answers come at once, and no request comes back as an echo. -c:
        # bitmaps are not needed, and may be broken.
        self._program = process.Dialogue(
            ['stdbuf', '-o0', 'debugfs', '-c', device],
            limits=limits.READER,
            env={'SS_READLINE_PATH': 'none'},
        )
        self._number = 0
        # Its version, and why it does not open the file system.
        _, said = self._asked('')
        wrong = said.strip().splitlines()[1:]
        if wrong:
            raise common_exception.ProcessFailed(
                program='debugfs', returncode=0, stderr=wrong[0]
            )

    def ask(self, request: str) -> tuple[str, str]:
        """Return the answer to a request, and what was wrong with it."""
        return self._asked(f'{request}\n')

    def _asked(self, line: str) -> tuple[str, str]:
        self._number += 1
        # None of its requests has this name, and it says so.
        mark = f'zsbm-end-{self._number}'
        unknown = f'debugfs: Unknown request "{mark}".'
        said, wrong = self._program.ask(
            f'{line}{mark}\n', until=unknown, timeout_s=limits.READ_S
        )
        while said.startswith(_PROMPT):
            said = said.removeprefix(_PROMPT)
        while said.endswith(_PROMPT):
            said = said.removesuffix(_PROMPT)
        # The end of the last line for the request before comes late.
        wrong = wrong.partition(unknown)[0].removeprefix(_HINT).lstrip('\n')
        return said, wrong


def _folders(
    places: Iterable[str], attributes: Mapping[str, str]
) -> Iterator[str]:
    """Yield the requests that make folders."""
    for place in places:
        yield f'mkdir {quoted(place)}'
        yield f'sif {quoted(place)} mode 040755'
        yield from _attributes_of(place, attributes)


def _attributes_of(place: str, attributes: Mapping[str, str]) -> Iterator[str]:
    """Yield the requests that give a file what another one had."""
    for name, value in attributes.items():
        yield f'ea_set -f {value} {quoted(place)} {name}'


def _first(pattern: re.Pattern[str], text: str) -> str:
    """Return what debugfs says, '0' where it does not."""
    match = pattern.search(text)
    return match[1] if match else '0'


def quoted(path: str) -> str:
    """Return a path as one word of a debugfs request.

    :raises PathTooTricky: it has a line break, which cannot be quoted.
    """
    if re.search(r'[\x00-\x1f]', path):
        raise exception.PathTooTricky(
            path=repr(path), why='it has control characters'
        )
    doubled = path.replace('"', '""')
    return f'"{doubled}"'
