# SPDX-License-Identifier: Apache-2.0
"""Puts a kernel for hardware beside the one for VMs that an image has.

It gets an initramfs of its own: that of the image, whose programs serve any
kernel, with the modules of the new one behind it. The boot menu gets an entry
before all others. At its first start the OS installs the package of this
kernel, with no network, and purges the one for VMs: from then on it is
updated as any other.
"""

import importlib.resources
import pathlib
import re
import tempfile

from zsbm_ironic.image import (
    early_drivers,
    editing,
    exception,
    kits,
    menu,
    modules,
    system,
    tree,
)

WAITING = '/var/lib/zsbm/kernel'
SCRIPT = '/usr/lib/zsbm/install-kernel'
UNIT = '/etc/systemd/system/zsbm-kernel.service'
WANTED = '/etc/systemd/system/multi-user.target.d/zsbm-kernel.conf'
_DATA = importlib.resources.files('zsbm_ironic.image') / 'data'
_ENTRY = re.compile(r'^[ \t]*menuentry\b.*?^[ \t]*\}[ \t]*$', re.M | re.S)


def add(found: system.System, image: editing.Editing, kit: kits.Kit) -> None:
    """Add the kernel of a kit, and boot it.

    :raises NotEditable: the image has no menu that an entry could be put in.
    :raises NoRoom: a file system is full.
    """
    entry = found.boots
    if entry is None or not entry.initramfs or found.modules is None:
        raise _no_menu(found)
    boot = pathlib.PurePosixPath(entry.kernel).parent
    kernel = f'{boot}/vmlinuz-{kit.release}'
    initramfs = f'{boot}/initrd.img-{kit.release}'
    _add_entry(found, image, entry, kernel, initramfs)
    folder = pathlib.PurePosixPath(found.modules.folder).parent / kit.release
    image.write_tree(str(folder), kit.modules)
    image.write(kernel, kit.kernel)
    _add_initramfs(found, image, kit, entry.initramfs[-1], initramfs)
    _install_later(found, image, kit)
    image.note(
        'kernel',
        f'{kernel} boots, with its initramfs and modules',
        f'{found.modules.release} has no driver for devices of the server',
    )


def _add_entry(
    found: system.System,
    image: editing.Editing,
    entry: menu.Entry,
    kernel: str,
    initramfs: str,
) -> None:
    """Put an entry before the others: the default one, for another kernel."""
    path = entry.written_in
    text = tree.text(found.files, path)
    match = _ENTRY.search(text) if path in menu.GRUB else None
    if match is None:
        raise _no_menu(found)
    block = match[0]
    for old, new in (
        (entry.kernel, kernel),
        (entry.initramfs[-1], initramfs),
    ):
        name = pathlib.PurePosixPath(old).name
        block = block.replace(name, pathlib.PurePosixPath(new).name)
    changed = text[: match.start()] + block + '\n' + text[match.start() :]
    image.write_text(path, changed)


def _add_initramfs(
    found: system.System,
    image: editing.Editing,
    kit: kits.Kit,
    source: str,
    target: str,
) -> None:
    names = modules.Modules.of_kit(kit.modules, kit.release)
    wanted = names.closure(
        name
        for name, (path, _) in names.paths.items()
        if path.startswith(tuple(f'kernel/{one}/' for one in kits.EARLY))
    )
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder, 'initramfs')
        found.files.copy(source, whole)
        there = [path.name for path in kit.modules.iterdir()]
        files = early_drivers.files_of(names, wanted, there)
        early_drivers.append(
            whole,
            found.initramfs,
            kit.release,
            {one: kit.modules / one for one in files},
        )
        image.write(target, whole)
    early_drivers.change_settings(found, image)


def _install_later(
    found: system.System, image: editing.Editing, kit: kits.Kit
) -> None:
    if not tree.exists(found.files, '/etc/systemd/system'):
        image.note(
            'kernel-package',
            f'no package owns the kernel {kit.release}',
            'this OS has no systemd; install the package by yourself',
        )
        return
    for package in kit.packages:
        image.write(f'{WAITING}/{package.name}', package)
    for path in (SCRIPT, UNIT, WANTED):
        name = pathlib.PurePosixPath(path).name
        image.write_text(path, (_DATA / name).read_text())
    image.note(
        'kernel-package',
        f'the package of {kit.release} is installed at the first start',
        'the OS is to update it as any other',
    )


def _no_menu(found: system.System) -> exception.NotEditable:
    return exception.NotEditable(
        image=found.files.name,
        what='the boot menu',
        why='a kernel is added only to a grub.cfg with an initramfs',
    )
