# SPDX-License-Identifier: Apache-2.0
"""Command line of this room: build VM images, print where they are."""

import argparse
import pathlib
import sys

from zsbm_ironic.common import artifacts, exception
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.vm_images import build, proof, specimens


def describe(specimen: specimens.Specimen) -> str:
    """Return one line about a row of the table."""
    system = specimen.system
    words = (
        system.kernel,
        system.initramfs.value,
        system.scope.value,
        system.init.value,
        specimen.table.value,
        specimen.layout.value,
        specimen.filesystem.value,
        specimen.boot.value,
        specimen.menu.value,
        specimen.root_by.value,
        specimen.network.value,
    )
    return f'{specimen.name:24} {" ".join(words)}'


def main() -> int:
    """Build what was asked for; paths on stdout, progress on stderr."""
    names = [specimen.name for specimen in specimens.SPECIMENS]
    parser = argparse.ArgumentParser(
        prog='python -m zsbm_ironic.lab.vm_images',
        description='Build VM images to convert. Cached: a second run is '
        'quick.',
    )
    parser.add_argument(
        'names', nargs='*', metavar='NAME', help='default: all of the table'
    )
    parser.add_argument(
        '--list', action='store_true', help='print the table and end'
    )
    parser.add_argument(
        '--boot',
        action='store_true',
        help='also start each as a virtio VM and wait for its ready line',
    )
    parser.add_argument(
        '--cache',
        type=pathlib.Path,
        default=layout.Layout.from_environment().cache,
        help='folder of built images (%(default)s)',
    )
    arguments = parser.parse_args()
    if arguments.list:
        for specimen in specimens.SPECIMENS:
            print(describe(specimen))
        return 0
    if unknown := sorted(set(arguments.names) - set(names)):
        parser.error(f'no such image: {", ".join(unknown)}')
    cache = artifacts.Artifacts(arguments.cache)
    try:
        for name in arguments.names or names:
            image = build.build(cache, specimens.by_name(name))
            print(name, image.path, flush=True)
            if arguments.boot:
                for firmware in proof.firmwares(image.specimen):
                    line = proof.boot(image, firmware)
                    print(name, firmware.value, line, flush=True)
    except exception.ZsbmError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
