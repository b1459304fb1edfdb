# SPDX-License-Identifier: Apache-2.0
"""The same server deployed by upstream's way and by ours, phase by phase.

Upstream's way: type `redfish` or `ipmi`, boot interface `ipxe`, deploy
interface `direct`, provider `dnsmasq` with a dnsmasq and an nginx set up by
hand. Same node, image, ramdisk, loaders and network. Pairs are interleaved
and all are kept: a run that was interrupted goes on with the next one, unless
the code changed. The table and the plot in the documentation are made from
the result file. Called by bench_deploy_redfish and bench_deploy_ipmi.
"""

import argparse
import functools
import itertools
import json
import os
import pathlib
import time
from collections.abc import Callable

from benchmarks import comparison, kept, observer
from tests.e2e import base
from tests.matrix import results
from zsbm_ironic.common import progress
from zsbm_ironic.lab import demo, layout, lifecycle, machines


def main(machine: str) -> None:
    """Measure the missing pairs, print the table, write the result file.

    :param machine: which of the lab's machines: its BMC chooses the type.
    """
    compare(
        f'deploy-{machine}', machine, functools.partial(measure, name=machine)
    )


def compare(
    name: str, machine: str, run: Callable[[str], comparison.Run]
) -> None:
    """Run what is missing of both ways, in pairs.

    :param name: of the result file.
    :param run: measures one of lifecycle.STACKS.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pairs', type=int, default=5)
    arguments = parser.parse_args()
    path = kept.FOLDER / f'{name}.json'
    tree = results.tree_hash()
    runs = kept.load(path, tree, comparison.Run)
    while len(runs) < 2 * arguments.pairs:
        runs.append(run(lifecycle.STACKS[len(runs) % 2]))
        kept.store(path, tree, runs, machine=machine)
    table = comparison.table(runs)
    for row in table:
        print('{:28s} {:>9} {:>9} {:>8} {:>15} {}'.format(*row))
    if figures := os.environ.get('ZSBM_FIGURES'):
        pathlib.Path(figures).write_text(
            json.dumps({row[0]: row[3] for row in table[1:] if row[3]})
        )


def measure(stack: str, name: str) -> comparison.Run:
    """Deploy one machine once; the lab of the other way is taken down."""
    base.make_room()
    folders = layout.Layout(
        pathlib.Path(f'{base.STATE}-bench-{stack}'),
        layout.Layout.from_environment().cache,
    )
    lab = lifecycle.Lab(folders, progress.Progress())
    lab.up(lifecycle.Plan(stack=stack))
    try:
        server = demo.Server(lab, demo.find(lab.declared(), name))
        _make_ready(server, stack)
        server.describe_instance(lab.os_image())
        server.forget_host_key()
        found = observe(lab, server.machine, stack, lambda: _deliver(server))
        server.provision('undeploy')
        return found
    finally:
        lab.down(wipe=False)


def _make_ready(server: demo.Server, stack: str) -> None:
    if server.state() is None:
        server.enrol(stock=stack == 'stock')
        server.manage()
        # Cleaning is the same on both sides and not what is compared.
        server.baremetal(
            'node', 'set', server.machine.name, '--no-automated-clean'
        )
    demo.make_available(server)


def _deliver(server: demo.Server) -> None:
    server.deploy()
    server.ssh('true')


def observe(
    lab: lifecycle.Lab,
    machine: machines.Declaration,
    stack: str,
    deliver: Callable[[], None],
) -> comparison.Run:
    """Watch how one server is delivered.

    :param deliver: asks for it, and returns when it was logged in to.
    """
    tap = machine.nics[0].tap
    sent = observer.interface_bytes(tap)
    with (
        observer.Capture(lab.folders.log / 'capture.txt') as capture,
        observer.Accounting() as accounting,
    ):
        began = time.time()
        deliver()
        ended = time.time()
    return comparison.Run(
        stack=stack,
        phases_s=_phases(capture.packets(), accounting.starts(), began, ended),
        idle_s=round(accounting.idle_s, 1),
        cpu_s=accounting.cpu_s(),
        peak_bytes=accounting.peak_bytes(),
        sent_bytes=observer.interface_bytes(tap) - sent,
    )


def _phases(
    packets: list[observer.Packet],
    starts: list[float],
    began: float,
    ended: float,
) -> dict[str, float]:
    """Cut one deploy into phases at what was seen from outside.

    :param starts: when the machine was powered on: for its ramdisk, and for
        its own system.
    """

    def first(kinds: tuple[str, ...], after: float) -> float:
        for packet in packets:
            if packet.kind in kinds and packet.time_s >= after:
                return packet.time_s
        raise LookupError(f'no {kinds} on the wire')

    on, again = starts[0], starts[-1]
    dhcp = first(('dhcp',), on)
    loader = first(('tftp', 'http'), dhcp)
    ramdisk = first(('api',), loader)
    write = first(('http',), ramdisk)
    marks = (began, on, dhcp, loader, ramdisk, write, again, ended)
    phases = {
        name: round(later - earlier, 2)
        for name, (earlier, later) in zip(
            comparison.PHASES, itertools.pairwise(marks), strict=True
        )
    }
    return {**phases, comparison.TOTAL: round(ended - began, 2)}
