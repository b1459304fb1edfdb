# SPDX-License-Identifier: Apache-2.0
"""Checks of where a conductor finds what images need.

Functions of the configuration that yield findings, as in `checks_conductor`.
"""

import pathlib
from collections.abc import Iterator

from oslo_config import cfg

from zsbm_ironic.common import exception
from zsbm_ironic.image import packed_kits
from zsbm_ironic.status.findings import Finding, fail, ok


def kits(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Kernels for hardware are where servers can fetch them."""
    name = '[zsbm_image]kit_dir'
    folder = pathlib.Path(conf.zsbm_image.kit_dir)
    root = conf.deploy.http_root
    if not folder.is_relative_to(root):
        yield fail(
            name,
            f'{folder} is not below [deploy]http_root ({root}): no server can '
            'fetch a kernel from it',
            'Take the default, or a folder below that one.',
        )
        return
    try:
        served = packed_kits.served(folder)
    except exception.ZsbmError as exc:
        yield fail(name, str(exc), 'Do as it says.')
        return
    absent = [
        one for one in served.values() if not (folder / one.file).exists()
    ]
    if absent:
        yield fail(
            name,
            f'{folder / absent[0].file} is not there',
            'Make it anew: zsbm-image kit build --serve',
        )
    elif served:
        yield ok(name, ', '.join(served))
    else:
        yield ok(name, 'none, which only images with a cloud kernel need')


CHECKS = (kits,)
