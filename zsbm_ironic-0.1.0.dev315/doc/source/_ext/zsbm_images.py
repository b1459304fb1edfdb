# SPDX-License-Identifier: Apache-2.0
"""`.. images:: matrix`, `support`, `steps`: which images were booted.

They are made when the documents are built, from the last results of the rows
`image`, `adapt_image` and `before_the_server`: a row that is not green shows
nothing.
"""

import json
from collections.abc import Callable
from typing import Any, ClassVar

from sphinx.application import Sphinx
from sphinx.util import docutils
from zsbm_reference import TOP, escaped, table

from zsbm_ironic.lab.vm_images import specimens

RESULTS = TOP / 'tests' / 'results'
# Where a converted image was booted.
METAL = ('bios-sata', 'uefi-nvme', 'uefi-nvme-arm64')
VM = ('vm-bios', 'vm-uefi', 'vm-uefi-arm64')
SERVERS = ('metal-uefi', 'metal-bios', 'large-disk')
# What users ask for, and the images that show it. The second: as Debian
# packages make it, where users have it from another distribution.
REAL = (
    ('Debian 11, kernel for clouds', ('debian11-cloud',)),
    ('Debian 12, kernel for clouds', ('debian12-cloud',)),
    ('Debian 12, root by device name', ('debian12-mbr',)),
    ('Debian 12 without systemd', ('debian12-sysvinit',)),
    ('Debian 12, UEFI alone', ('debian12-uefi-only',)),
    ('Debian 12, root on LVM', ('debian12-lvm',)),
    ('Debian 12, root on btrfs', ('debian12-btrfs',)),
    ('Debian 12, four primary partitions', ('debian12-four-primaries',)),
    ('Debian 12, arm64', ('debian12-arm64',)),
    ('Debian 13, kernel for clouds', ('debian13-cloud',)),
    ('Debian 13, root on XFS', ('debian13-xfs',)),
)
LAYOUT = (
    ('dracut', ('debian12-xfs-dracut', 'debian13-dracut-bls')),
    ('entries of the Boot Loader Specification', ('debian13-dracut-bls',)),
    ('NetworkManager', ('debian13-dracut-bls',)),
    ('netplan', ('debian13-cloud',)),
)
ABSENT = (
    'RHEL and its like, openEuler, SUSE, Ubuntu: images of their own',
    'kernels for hardware of these (no kit)',
    'Windows, LUKS: told, and left as they are',
    'Alpine, NixOS and others without initramfs-tools or dracut',
)


def _green(group: str, row: str) -> dict[str, Any] | None:
    """Return the figures of a row that passed."""
    path = RESULTS / group / f'{row}.json'
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    if data['failed'] or not data['passed']:
        return None
    figures: dict[str, Any] = data['figures']
    return figures


def _of(name: str) -> dict[str, Any] | None:
    return _green('image', name.replace('-', '_'))


def matrix() -> str:
    """Return a row for each image of the table."""
    deployed: dict[str, set[str]] = {}
    for path in sorted((RESULTS / 'adapt_image').glob('*.json')):
        figures = _green('adapt_image', path.stem)
        if figures and 'image' in figures:
            servers = deployed.setdefault(figures['image'], set())
            servers.update(figures['servers'])
    rows = []
    for one in specimens.SPECIMENS:
        figures = _of(one.name)
        if figures is None:
            rows.append((f'``{one.name}``', _what(one), 'not shown', '', ''))
            continue
        before = [
            f'{place}: {escaped(figures[f"{place} before"])}'
            for place in METAL
            if f'{place} before' in figures
        ]
        after = [
            f'{place}: {figures[place]:.0f} s'
            for place in (*METAL, *VM)
            if place in figures
        ]
        rows.append(
            (
                f'``{one.name}``',
                _what(one),
                '\n\n'.join(before),
                '\n\n'.join(after),
                ', '.join(sorted(deployed.get(one.name, ()))),
            )
        )
    head = ('Image', 'What it is', 'As it is', 'Converted: up in', 'Deployed')
    return table(head, rows)


def _what(one: specimens.Specimen) -> str:
    return ', '.join(
        (
            one.system.kernel,
            one.system.initramfs.value,
            f'drivers: {one.system.scope.value}',
            one.table.value,
            one.layout.value,
            one.filesystem.value,
            one.boot.value,
            one.menu.value,
            f'root by {one.root_by.value}',
            one.network.value,
            one.system.init.value,
        )
    )


def support() -> str:
    """Return what is shown, how, and what is not."""
    columns: list[list[str]] = [[], [], list(ABSENT)]
    for column, lines in ((0, REAL), (1, LAYOUT)):
        for text, names in lines:
            shown = all(_of(name) is not None for name in names)
            columns[column if shown else 2].append(text)
    cells = ['\n'.join(f'* {text}' for text in one) for one in columns]
    head = (
        'Shown with an image of this distribution',
        'Shown on a layout that Debian built',
        'Not shown',
    )
    return table(head, [cells])


def steps() -> str:
    """Return how long the steps of deploys took, a row for each server."""
    rows = []
    for group in ('adapt_image', 'before_the_server'):
        for path in sorted((RESULTS / group).glob('*.json')):
            figures = _green(group, path.stem) or {}
            for server in SERVERS:
                if f'{server} write_image' in figures:
                    within = figures.get(f'{server} adapt in the ramdisk')
                    rows.append(
                        (
                            path.stem.replace('_', ' '),
                            f'``{figures["image"]}``',
                            server,
                            f'{figures[f"{server} write_image"]:.1f}',
                            f'{figures[f"{server} adapt_image"]:.1f}',
                            f'{within:.1f}' if within is not None else '',
                        )
                    )
    head = (
        'Row',
        'Image',
        'Server',
        'write_image (s)',
        'adapt_image (s)',
        'of these at work (s)',
    )
    return table(head, rows) if rows else 'None is green.'


class Images(docutils.SphinxDirective):
    """`.. images:: matrix`: a table that is made from results."""

    required_arguments = 1
    makers: ClassVar[dict[str, Callable[[], str]]] = {
        'matrix': matrix,
        'steps': steps,
        'support': support,
    }

    def run(self) -> list[Any]:
        """Return the nodes of the table."""
        for group in ('image', 'adapt_image', 'before_the_server'):
            for path in (RESULTS / group).glob('*.json'):
                self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(self.makers[self.arguments[0]]())


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive('images', Images)
    return {'parallel_read_safe': True}
