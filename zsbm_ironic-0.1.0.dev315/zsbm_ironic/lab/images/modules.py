# SPDX-License-Identifier: Apache-2.0
"""Which kernel modules a ramdisk needs: the wanted ones and their closure.

Called by the ramdisk builder on an unpacked kernel package for which depmod
has run. Reads what depmod wrote (modules.dep, modules.softdep,
modules.builtin), changes nothing.
"""

import pathlib
from collections.abc import Iterable, Mapping

from zsbm_ironic.common import exception


def read_list(text: str) -> list[str]:
    """Return the entries of a list with comments."""
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def closure(folder: pathlib.Path, wanted: Iterable[str]) -> set[str]:
    """Return the paths of the wanted modules and of all that they need.

    :param folder: lib/modules/<version>.
    :param wanted: module names, or folders below kernel/ that end in `/`.
    :returns: paths relative to `folder`.
    :raises BuildFailed: this kernel has no such module, not built in either.
    """
    needs = _dependencies(folder / 'modules.dep')
    by_name = {_name(path): path for path in needs}
    builtin = {
        _name(line)
        for line in (folder / 'modules.builtin').read_text().split()
    }
    soft = _soft_dependencies(folder / 'modules.softdep')
    waiting = list(_resolve(wanted, by_name, builtin, folder))
    found: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += needs[path]
        waiting += [
            by_name[name]
            for name in soft.get(_name(path), ())
            if name in by_name
        ]
    return found


def _resolve(
    wanted: Iterable[str],
    by_name: Mapping[str, str],
    builtin: set[str],
    folder: pathlib.Path,
) -> Iterable[str]:
    for entry in wanted:
        if entry.endswith('/'):
            paths = [
                path
                for path in by_name.values()
                if path.startswith(f'kernel/{entry}')
            ]
        else:
            name = entry.replace('-', '_')
            if name in builtin:
                continue
            paths = [by_name[name]] if name in by_name else []
        if not paths:
            raise exception.BuildFailed(
                what='the deploy ramdisk',
                why=f'kernel {folder.name} has no module {entry}',
            )
        yield from paths


def _name(path: str) -> str:
    """Return a module's name; `-` and `_` are the same in it."""
    return pathlib.PurePath(path).name.partition('.ko')[0].replace('-', '_')


def _dependencies(path: pathlib.Path) -> dict[str, list[str]]:
    table = {}
    for line in path.read_text().splitlines():
        module, _, needed = line.partition(':')
        table[module] = needed.split()
    return table


def _soft_dependencies(path: pathlib.Path) -> dict[str, list[str]]:
    """Return names loaded before or after a module where they exist."""
    table: dict[str, list[str]] = {}
    if not path.exists():
        return table
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == 'softdep':
            names = [word for word in words[2:] if not word.endswith(':')]
            table.setdefault(words[1].replace('-', '_'), []).extend(
                name.replace('-', '_') for name in names
            )
    return table
