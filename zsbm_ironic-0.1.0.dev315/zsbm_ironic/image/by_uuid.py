# SPDX-License-Identifier: Apache-2.0
"""Names file systems by what is on them, and not by a VM's bus.

In fstab, in the boot menu, and in what the image's own programs make the next
menu from. What is on no disk of the image becomes optional in fstab.
"""

import re
from collections.abc import Iterable

from zsbm_ironic.image import editing, menu, system, tree

# Read by grub-mkconfig and by kernel-install.
_SETTINGS = ('/etc/default/grub', '/etc/kernel/cmdline')
_SETTINGS_FOLDER = '/etc/default/grub.d'
_NO_UUID = re.compile(r'^(GRUB_DISABLE_LINUX_UUID=)', re.M)
_LINE = re.compile(r'^(\s*)(\S+)(\s+\S+\s+\S+\s+)(\S+)(.*)$')


def mend(
    found: system.System, image: editing.Editing, *, new_table: bool
) -> None:
    """Write UUIDs where names are that a server does not have.

    :param new_table: the partition table will be made anew: a PARTUUID is
        then also a name that is gone.
    """
    _fstab(found, image, new_table)
    entry = found.boots
    root = entry.parameter('root') if entry else None
    if entry is None or root is None or not found.root.uuid:
        return
    if (
        system.by_bus(root)
        or (new_table and root.startswith('PARTUUID='))
        or system.named(found.disk, root) != found.root
    ):
        paths = (entry.written_in, *_menu_files(found))
        _menus(found, image, paths, root)


def _fstab(
    found: system.System, image: editing.Editing, new_table: bool
) -> None:
    path = '/etc/fstab'
    lines = tree.text(found.files, path).splitlines()
    changed = False
    for number, line in enumerate(lines):
        match = _LINE.match(line)
        if match is None or match[2].startswith('#'):
            continue
        indent, what, middle, options, rest = match.groups()
        if not system.is_device(what):
            continue
        named = system.named(found.disk, what)
        volume = found.root if middle.split()[0] == '/' else named
        fragile = (
            named != volume
            or system.by_bus(what)
            or (new_table and what.startswith('PARTUUID='))
        )
        if volume is None and not system.optional(options.split(',')):
            lines[number] = f'{indent}{what}{middle}{options},nofail{rest}'
            said = f'{middle.split()[0]} from {what} is optional in {path}'
        elif volume is not None and fragile and volume.uuid:
            new = f'UUID={volume.uuid}'
            lines[number] = f'{indent}{new}{middle}{options}{rest}'
            said = f'{middle.split()[0]} is mounted from {new}, not {what}'
        else:
            continue
        changed = True
        image.note('mount', said, 'a server has no such device')
    if changed:
        image.write_text(path, '\n'.join(lines) + '\n')


def _menus(
    found: system.System,
    image: editing.Editing,
    paths: Iterable[str],
    old: str,
) -> None:
    new = f'UUID={found.root.uuid}'
    word = re.compile(rf'(?<![\w.]){re.escape(f"root={old}")}(?![\w/=-])')
    for path in dict.fromkeys(paths):
        text = tree.text(found.files, path)
        changed = word.sub(f'root={new}', text)
        said = f'{path} has root={new}, not {old}'
        if _NO_UUID.search(changed):
            changed = _NO_UUID.sub(r'#\1', changed)
            said = f'{path} allows UUIDs in the next boot menu'
        if changed == text:
            continue
        if path.endswith('/grubenv'):
            changed = _padded(changed, len(text))
        image.write_text(path, changed)
        image.note('root', said, 'a server has no such device')


def _menu_files(found: system.System) -> list[str]:
    files = found.files
    folders = (menu.BLS, _SETTINGS_FOLDER)
    paths = [*menu.GRUB, *menu.ENVIRONMENTS, *_SETTINGS]
    paths += [
        f'{folder}/{name}'
        for folder in folders
        for name in files.names(folder)
    ]
    return [path for path in paths if tree.exists(files, path)]


def _padded(text: str, length: int) -> str:
    """Return an environment block of its old size: GRUB writes in place."""
    return text.rstrip('#').ljust(length, '#')
