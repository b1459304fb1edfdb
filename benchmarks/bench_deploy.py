# SPDX-License-Identifier: Apache-2.0
"""The same server deployed by upstream's way and by ours, phase by phase.

    python -m benchmarks.bench_deploy [--pairs N] [--machine NAME]

Upstream's way: type `redfish` or `ipmi`, boot interface `ipxe`, deploy
interface `direct`, provider `dnsmasq` with a dnsmasq and an nginx set up by
hand. Same node, image, ramdisk, loaders and network. Pairs are interleaved
and all are kept: a run that was interrupted goes on with the next one. The
result file is what the table in the documentation is made from.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import time

from benchmarks import observer
from zsbm_ironic.common import progress
from zsbm_ironic.lab import demo, layout, lifecycle

HERE = pathlib.Path(__file__).parent
# A median ratio above this, with every pair above 1, is called slower.
SLOWER = 1.05
PHASES = (
    'power on to DHCP',
    'DHCP to loader',
    'loader to ramdisk up',
    'ramdisk up to write',
    'write to reboot',
    'reboot to SSH',
    'total',
)


@dataclasses.dataclass(frozen=True)
class Run:
    """What one deploy took: seconds a phase, CPU seconds, bytes."""

    stack: str
    machine: str
    phases_s: dict[str, float]
    cpu_s: dict[str, float]
    sent_bytes: int


def main() -> None:
    """Measure the missing pairs, print the table, write the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pairs', type=int, default=5)
    parser.add_argument('--machine', default='metal-uefi')
    arguments = parser.parse_args()
    path = HERE / 'results' / f'deploy-{arguments.machine}.json'
    runs = _load(path)
    while len(runs) < 2 * arguments.pairs:
        stack = lifecycle.STACKS[len(runs) % 2]
        runs.append(measure(stack, arguments.machine))
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps([dataclasses.asdict(run) for run in runs], indent=1)
        )
    table = compare(runs)
    for row in table:
        print('{:24s} {:>9} {:>9} {:>8} {:>15} {}'.format(*row))
    if figures := os.environ.get('ZSBM_FIGURES'):
        pathlib.Path(figures).write_text(json.dumps({'table': table}))


def compare(runs: list[Run]) -> list[list[str]]:
    """Return the table: a row a phase, upstream, ours, ratio, spread."""
    stock = [run for run in runs if run.stack == 'stock']
    ours = [run for run in runs if run.stack == 'zsbm']
    rows = [['phase', 'upstream', 'zsbm', 'ratio', 'spread', '']]
    for name in PHASES:
        rows.append(
            _row(
                f'{name} (s)',
                [run.phases_s[name] for run in stock],
                [run.phases_s[name] for run in ours],
            )
        )
    for group in ('ironic', 'boot service', 'server'):
        rows.append(
            _row(
                f'CPU of {group} (s)',
                [run.cpu_s.get(group, 0.0) for run in stock],
                [run.cpu_s.get(group, 0.0) for run in ours],
            )
        )
    rows.append(
        _row(
            'sent to the server (MB)',
            [run.sent_bytes / 1e6 for run in stock],
            [run.sent_bytes / 1e6 for run in ours],
        )
    )
    return rows


def _row(name: str, stock: list[float], ours: list[float]) -> list[str]:
    pairs = list(zip(stock, ours, strict=False))
    ratios = [mine / theirs for theirs, mine in pairs if theirs]
    row = [
        name,
        f'{statistics.median(stock):.1f}',
        f'{statistics.median(ours):.1f}',
    ]
    if not ratios:
        return [*row, '', '', '']
    ratio = statistics.median(ratios)
    slower = ratio > SLOWER and min(ratios) > 1
    spread = f'{min(ratios):.2f} - {max(ratios):.2f}'
    return [*row, f'{ratio:.2f}', spread, 'slower' if slower else '']


def measure(stack: str, name: str) -> Run:
    """Deploy one machine once; the lab of the other way is taken down."""
    base = layout.Layout.from_environment()
    folders = dataclasses.replace(
        base, state=base.state.with_name(f'{base.state.name}-bench-{stack}')
    )
    lab = lifecycle.Lab(folders, progress.Progress())
    lab.up(lifecycle.Plan(stack=stack))
    try:
        server = demo.Server(lab, demo.find(lab.declared(), name))
        _make_ready(server, stack)
        return _observe(server, stack, lab)
    finally:
        lab.down(wipe=False)


def _make_ready(server: demo.Server, stack: str) -> None:
    if server.state() is None:
        server.enrol(stock=stack == 'stock')
        server.manage()
        # Cleaning is the same on both sides and not what is compared.
        server.baremetal(
            'node',
            'set',
            server.machine.name,
            '--no-automated-clean',
        )
    demo.make_available(server)


def _observe(server: demo.Server, stack: str, lab: lifecycle.Lab) -> Run:
    image = lab.os_image()
    server.describe_instance(image)
    server.forget_host_key()
    tap = server.machine.nics[0].tap
    sent = observer.interface_bytes(tap)
    with (
        observer.Capture(lab.folders.log / 'capture.txt') as capture,
        observer.Accounting() as accounting,
    ):
        began = time.time()
        server.deploy()
        server.ssh('true')
        ended = time.time()
    phases = _phases(capture.packets(), began, ended)
    server.provision('undeploy')
    return Run(
        stack,
        server.machine.name,
        phases,
        accounting.cpu_s(),
        observer.interface_bytes(tap) - sent,
    )


def _phases(
    packets: list[observer.Packet], began: float, ended: float
) -> dict[str, float]:
    """Cut one deploy into phases at what was seen on the wire."""

    def first(kind: str, after: float) -> float:
        for packet in packets:
            if packet.kind == kind and packet.time_s >= after:
                return packet.time_s
        raise LookupError(f'no {kind} on the wire')

    dhcp = first('dhcp', began)
    loader = min(
        packet.time_s
        for packet in packets
        if packet.kind in ('tftp', 'http') and packet.time_s >= dhcp
    )
    ramdisk = first('api', loader)
    write = first('http', ramdisk)
    reboot = max(packet.time_s for packet in packets if packet.kind == 'agent')
    marks = (began, dhcp, loader, ramdisk, write, reboot, ended)
    phases = {
        name: round(later - earlier, 2)
        for name, earlier, later in zip(PHASES, marks, marks[1:], strict=False)
    }
    return {**phases, 'total': round(ended - began, 2)}


def _load(path: pathlib.Path) -> list[Run]:
    try:
        return [Run(**entry) for entry in json.loads(path.read_text())]
    except OSError:
        return []


if __name__ == '__main__':
    main()
