# SPDX-License-Identifier: Apache-2.0
"""Writes a copy of an image that boots on given hardware.

Called by `zsbm-image convert`. The copy appears under its name by one rename,
when it is whole; until then it is in a folder beside it, which goes away
whatever happens. Needs no root and no mount.
"""

import os
import pathlib
import tempfile
from collections.abc import Sequence

from zsbm_ironic.common import artifacts, process
from zsbm_ironic.image import (
    adapt,
    exception,
    hardware,
    limits,
    micro_vm,
    partitions,
    source,
    supplies,
)

FORMATS = ('qcow2', 'raw')


def cache_folder() -> pathlib.Path:
    """Return where boot loaders are kept, for root or for somebody else."""
    if os.geteuid() == 0:
        return pathlib.Path('/var/cache/zsbm-image')
    own = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return pathlib.Path(own).expanduser() / 'zsbm-image'


def convert(
    image: pathlib.Path,
    output: pathlib.Path,
    wanted: Sequence[hardware.Hardware],
    *,
    output_format: str,
    force: bool,
    cache: artifacts.Artifacts,
    guest: micro_vm.Guest | None,
    speaks: bool = False,
) -> adapt.Report:
    """Write `output`, an image like `image` that boots on these servers.

    :param output_format: one of FORMATS.
    :param force: replace `output`.
    :param guest: for file systems that only a kernel writes.
    :param speaks: it tells on a serial port how far it boots.
    :raises OutputExists: it is there, without force.
    :raises ImageUnreadable: the image may not be opened.
    :raises NotConverted: something stands in the way.
    """
    if output.exists() and not force:
        raise exception.OutputExists(path=output)
    inspected = source.inspect(image)
    with tempfile.TemporaryDirectory(
        dir=output.absolute().parent, prefix=f'.{output.name}.'
    ) as folder:
        raw = pathlib.Path(folder, image.name)
        with cache.report.step('copy'):
            source.copy(inspected, raw)
        with cache.report.step('adapt'):
            report = _adapted(raw, wanted, cache, guest, speaks)
        done = raw
        if output_format != 'raw':
            done = pathlib.Path(folder, 'converted')
            with cache.report.step(f'write {output_format}'):
                process.run(
                    ['qemu-img', 'convert', '-q', '-W', '-f', 'raw']
                    + ['-O', output_format, str(raw), str(done)],
                    timeout_s=limits.CONVERT_S,
                    limits=limits.CONVERTER,
                )
        with done.open('rb') as whole:
            os.fsync(whole.fileno())
        done.replace(output)
    return report


def _adapted(
    raw: pathlib.Path,
    wanted: Sequence[hardware.Hardware],
    cache: artifacts.Artifacts,
    guest: micro_vm.Guest | None,
    speaks: bool,
) -> adapt.Report:
    have = supplies.Fetched(cache)
    try:
        return adapt.adapt(raw, wanted, have, mount=False, speaks=speaks)
    except exception.MountNeeded as exc:
        if guest is None:
            raise exception.GuestMissing(
                image=raw.name, what=exc.fields['why']
            ) from exc
    if adapt.needs_esp(raw, wanted):
        partitions.make_way(raw)
    with cache.report.step('adapt in a machine of its own'):
        return micro_vm.run(raw, wanted, guest, have, speaks=speaks)
