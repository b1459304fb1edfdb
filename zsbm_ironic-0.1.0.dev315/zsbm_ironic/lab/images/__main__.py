# SPDX-License-Identifier: Apache-2.0
"""Command line of this room: build one image or all, print where it is."""

import argparse
import json
import pathlib
import sys

from zsbm_ironic.common import artifacts, exception
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.images import os_image, ramdisk
from zsbm_ironic.netboot import loaders

WHATS = ('loaders', 'ramdisk', 'os')


def build(
    what: str, cache: artifacts.Artifacts, wheel: pathlib.Path | None
) -> object:
    """Build one of WHATS and return its description."""
    if what == 'ramdisk':
        return ramdisk.build(cache, wheel=wheel)
    builder = os_image.build if what == 'os' else loaders.fetch
    return builder(cache)


def main() -> int:
    """Build what was asked for; JSON on stdout, progress on stderr."""
    parser = argparse.ArgumentParser(
        prog='python -m zsbm_ironic.lab.images',
        description='Build what a lab boots. Cached: a second run is quick.',
    )
    parser.add_argument('what', choices=(*WHATS, 'all'))
    parser.add_argument(
        '--cache',
        type=pathlib.Path,
        default=layout.Layout.from_environment().cache,
        help='folder of built images (%(default)s)',
    )
    parser.add_argument(
        '--wheel',
        type=pathlib.Path,
        help='our package for the ramdisk; default: the running one',
    )
    parser.add_argument(
        '--refresh',
        action='store_true',
        help="build again, from the mirror's newest packages",
    )
    arguments = parser.parse_args()
    cache = artifacts.Artifacts(arguments.cache, refresh=arguments.refresh)
    whats = WHATS if arguments.what == 'all' else (arguments.what,)
    try:
        results = {
            what: vars(build(what, cache, arguments.wheel)) for what in whats
        }
    except exception.ZsbmError as exc:
        print(exc, file=sys.stderr)
        return 1
    print(json.dumps(results, indent=1, default=str))
    return 0


if __name__ == '__main__':
    sys.exit(main())
