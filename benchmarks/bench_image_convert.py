# SPDX-License-Identifier: Apache-2.0
"""Conversions of VM images against a plain copy, and against virt-customize.

python -m benchmarks.bench_image_convert [--rounds N]

Each round copies each image by `qemu-img convert` and converts it by
`zsbm-image convert`, one after the other. virt-customize makes of one image a
part of the same edits and virt-v2v-in-place prepares it for other VMs, once
each, as they take minutes, and are stopped after ten. Boot loaders and kernels
are in the cache before: they are fetched once for all images. Runs of the same
code are kept, so an interrupted benchmark goes on. Needs root for building the
images.
"""

import argparse
import os
import pathlib
import select
import shutil
import tempfile
import time

from benchmarks import conversions, kept, observer
from tests.matrix import results
from zsbm_ironic.common import artifacts, process
from zsbm_ironic.image import kits, loaders
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.images import ramdisk
from zsbm_ironic.lab.vm_images import build, specimens
from zsbm_ironic.machine import accelerator

RESULT = pathlib.Path(__file__).parent / 'results' / 'image-convert.json'
# Image -> whether a machine is started for it.
IMAGES = {
    'debian12-mbr': False,
    'debian12-cloud': False,
    'debian13-xfs': True,
    'debian12-btrfs': True,
}
CUSTOMIZED = 'debian12-mbr'
LIMIT_S = 600
# The root of CUSTOMIZED, as its name is in the machine of libguestfs.
_ROOT = 'UUID=$(blkid -s UUID -o value /dev/sda1)'
# Programs of libguestfs, which change the image that they are given.
_IN_PLACE = (conversions.GUESTFS, conversions.V2V)
_MARK = 'ZSBM_BENCHMARK'
_GROUP = 'conversion'


def main() -> None:
    """Measure what is missing, print the table, write the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    cache = artifacts.Artifacts(layout.Layout.from_environment().cache)
    loaders.fetch(cache)
    kit = kits.build(cache, 'debian 12', 'x86_64')
    guest = ramdisk.build(cache)
    images = {
        name: build.build(cache, specimens.by_name(name)).path
        for name in IMAGES
    }
    tree = results.tree_hash(('benchmarks.bench_image_convert',))
    runs = kept.load(RESULT, tree, conversions.Run)
    done = {(run.image, run.way, run.round) for run in runs}
    for number in range(arguments.rounds):
        for name, image in images.items():
            ways = [conversions.PLAIN, conversions.OURS]
            if (name, number) == (CUSTOMIZED, 0):
                ways += filter(shutil.which, _IN_PLACE)
            for way in ways:
                if (name, way, number) in done:
                    continue
                with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
                    output = pathlib.Path(folder, 'out.qcow2')
                    argv = _argv(way, name, image, output, cache, guest)
                    if way in _IN_PLACE:
                        shutil.copyfile(image, output)
                    runs.append(
                        conversions.Run(
                            name,
                            way,
                            number,
                            way == conversions.OURS and IMAGES[name],
                            *_measured(argv, output.with_suffix('.log'), kit),
                        )
                    )
                kept.store(RESULT, tree, runs)
    conversions.show(runs, os.environ.get('ZSBM_FIGURES'))


def _argv(
    way: str,
    name: str,
    image: pathlib.Path,
    output: pathlib.Path,
    cache: artifacts.Artifacts,
    guest: ramdisk.Ramdisk,
) -> list[str]:
    if way == conversions.PLAIN:
        return ['qemu-img', 'convert', '-O', 'qcow2', str(image), str(output)]
    if way == conversions.GUESTFS:
        settings = '/etc/initramfs-tools/conf.d/zsbm'
        return [
            *('virt-customize', '-q', '--no-network', '-a', str(output)),
            *('--write', f'{settings}:MODULES=most'),
            *('--run-command', f'sed -i "s,^/dev/vda1,{_ROOT}," /etc/fstab'),
            *('--run-command', 'update-initramfs -u -k all'),
            *('--run-command', 'grub-mkconfig -o /boot/grub/grub.cfg'),
        ]
    if way == conversions.V2V:
        return ['virt-v2v-in-place', '-i', 'disk', str(output)]
    words = ['zsbm-image', 'convert', str(image), str(output)]
    words += ['--cache', str(cache.root), '--mac', '52:54:00:76:6d:02']
    if IMAGES[name]:
        words += ['--kernel', str(guest.kernel)]
        words += ['--initramfs', str(guest.initramfs)]
    return words


def _measured(
    argv: list[str], log: pathlib.Path, kit: kits.Kit
) -> tuple[bool, float, float, int]:
    """Run a conversion; return end, seconds, CPU seconds and memory.

    :param kit: has a kernel for libguestfs, where the host has none.
    """
    mark = f'{_MARK}={os.getpid()}'.encode()

    def group_of(folder: pathlib.Path) -> str | None:
        variables = (folder / 'environ').read_bytes().split(b'\0')
        return _GROUP if mark in variables else None

    # Libguestfs ends without this folder, which a host without a kernel of
    # its own does not have.
    pathlib.Path('/lib/modules').mkdir(exist_ok=True)
    environment = {
        _MARK: str(os.getpid()),
        'LIBGUESTFS_BACKEND': 'direct',
        # It takes /dev/kvm for one that works.
        'LIBGUESTFS_BACKEND_SETTINGS': ''
        if accelerator.choose('x86_64') == 'kvm'
        else 'force_tcg',
        'SUPERMIN_KERNEL': str(kit.kernel),
        'SUPERMIN_KERNEL_VERSION': kit.release,
        'SUPERMIN_MODULES': str(kit.modules),
    }
    with observer.Accounting(group_of, (_GROUP,)) as accounting:
        began = time.monotonic()
        child = process.start(argv, log=log, env=environment)
        ended = _has_ended(child.pid, LIMIT_S)
        if not ended:
            child.terminate()
        _pid, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
    if ended and child.returncode:
        raise SystemExit(f'{argv[0]}: {child.returncode}: {log.read_text()}')
    # Who ends within half a second is in the kernel's account alone, who is
    # not waited for by its parent in ours alone.
    return (
        ended,
        round(seconds, 2),
        round(
            max(used.ru_utime + used.ru_stime, accounting.cpu_s()[_GROUP]), 2
        ),
        max(1024 * used.ru_maxrss, accounting.peak_bytes().get(_GROUP, 0)),
    )


def _has_ended(pid: int, limit_s: float) -> bool:
    handle = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        return bool(poller.poll(1000 * limit_s))
    finally:
        os.close(handle)


if __name__ == '__main__':
    main()
