# SPDX-License-Identifier: Apache-2.0
"""What adapting an image on its disk adds to writing it there.

python -m benchmarks.bench_image_adapt [--rounds N]

Each round writes each image to a disk by `qemu-img convert`, as the agent
does; adapts it to a server with UEFI and NVMe, as step adapt_image does, a
kernel fetched from an HTTP server; and adapts it again, which finds nothing
missing. On this host's processor, not in an emulated server: the disk is a
loop device, and Python of the agent is loaded. Runs of the same code are
kept, so an interrupted benchmark goes on. Needs root.
"""

import argparse
import contextlib
import functools
import http.server
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

from benchmarks import conversions, kept
from tests.matrix import results
from zsbm_ironic.common import artifacts, process
from zsbm_ironic.image import kits, loaders, packed_kits
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.vm_images import build, specimens

RESULT = pathlib.Path(__file__).parent / 'results' / 'image-adapt.json'
IMAGES = ('debian12-mbr', 'debian12-cloud', 'debian13-xfs', 'debian12-btrfs')
SERVER = 'uefi-nvme'
DISK_BYTES = 8 << 30
LIMIT_S = 600
_KIT_OF = ('debian 12', 'x86_64')


def main() -> None:
    """Measure what is missing, print the table, write the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    cache = artifacts.Artifacts(layout.Layout.from_environment().cache)
    loaders.fetch(cache)
    kit = kits.build(cache, *_KIT_OF)
    images = {
        name: build.build(cache, specimens.by_name(name)).path
        for name in IMAGES
    }
    tree = results.tree_hash(('benchmarks.bench_image_adapt',))
    runs = kept.load(RESULT, tree, conversions.Run)
    done = {(run.image, run.round) for run in runs}
    with (
        tempfile.TemporaryDirectory(dir='/var/tmp') as folder,
        _served(kit, pathlib.Path(folder, 'served')) as served,
    ):
        for number in range(arguments.rounds):
            for name, image in images.items():
                if (name, number) not in done:
                    argv = _adapting(cache, served)
                    with _disk(pathlib.Path(folder, 'disk')) as device:
                        runs += [
                            conversions.Run(
                                name, way, number, False, True, *measured
                            )
                            for way, measured in (
                                (conversions.PLAIN, _write(image, device)),
                                (conversions.ADAPTED, _adapt(argv, device)),
                                (conversions.AGAIN, _adapt(argv, device)),
                            )
                        ]
                    kept.store(RESULT, tree, runs)
    conversions.show(runs, os.environ.get('ZSBM_FIGURES'))


@contextlib.contextmanager
def _served(
    kit: kits.Kit, folder: pathlib.Path
) -> Iterator[dict[str, dict[str, object]]]:
    """Serve a kit on loopback; give what the conductor would say of it."""
    packed_kits.publish(kit, folder, *_KIT_OF)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            name: {
                'url': f'http://127.0.0.1:{server.server_port}/{packed.file}',
                'sha256': packed.sha256,
                'size_bytes': packed.size_bytes,
            }
            for name, packed in packed_kits.served(folder).items()
        }
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _disk(file: pathlib.Path) -> Iterator[str]:
    """Give an empty disk."""
    with file.open('wb') as sink:
        sink.truncate(DISK_BYTES)
    made = process.run(
        ['losetup', '--find', '--show', file], timeout_s=LIMIT_S
    )
    device = made.stdout.strip()
    try:
        yield device
    finally:
        process.run(['losetup', '-d', device], timeout_s=LIMIT_S)


def _write(image: pathlib.Path, device: str) -> tuple[float, float, int]:
    """Return seconds, CPU seconds and the largest memory in bytes."""
    with tempfile.NamedTemporaryFile() as log:
        began_s = time.monotonic()
        child = process.start(
            # As the agent calls it.
            ['qemu-img', 'convert', '-n', '-O', 'host_device', '-W']
            + ['-t', 'directsync', '-S', '0', str(image), device],
            log=pathlib.Path(log.name),
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - began_s
        if status:
            raise SystemExit(f'qemu-img: {log.read().decode()}')
    cpu_s = usage.ru_utime + usage.ru_stime
    return round(seconds, 2), round(cpu_s, 2), usage.ru_maxrss * 1024


def _adapting(
    cache: artifacts.Artifacts, served: dict[str, dict[str, object]]
) -> list[str]:
    module = [sys.executable, '-m', 'benchmarks.adapting', str(cache.root)]
    # Mounts stay in a namespace of their own.
    return ['unshare', '--mount', *module, json.dumps(served)]


def _adapt(argv: list[str], device: str) -> tuple[float, float, int]:
    done = process.run([*argv, device, SERVER], timeout_s=LIMIT_S)
    seconds, cpu_s, peak = json.loads(done.stdout)
    return seconds, round(cpu_s, 2), peak


if __name__ == '__main__':
    main()
