# SPDX-License-Identifier: Apache-2.0
"""What a conductor with a thousand servers costs: upstream's types and ours.

A real Ironic in one process with SQLite, its servers emulated BMCs in another:
seven of ten speak IPMI, the others Redfish. Watched for some minutes after it
has become acquainted with them: first power only (Ironic's own loop as often
as it comes by default; ours looks every few seconds beside it), then sensors
each minute too.
CPU is the kernel's account of the conductor and of all that it starts.

python -m benchmarks.bench_conductor [--nodes N] [--minutes N] [--way WAY]...
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks import conductors, kept, recorded, served
from tests.functional import ironic_service
from tests.matrix import results

RESULT = kept.FOLDER / 'conductor.json'
CLOCK_TICKS = os.sysconf('SC_CLK_TCK')
PAGE_BYTES = os.sysconf('SC_PAGE_SIZE')
# It counts its CPU, not its hurry.
STARTING_S = 900
EVERY_S = 60
# Default of [conductor]sync_power_state_interval.
LOOP_S = 120
# Logins, the first round of Ironic's loop, which writes to each node, and a
# minute in which a node counts as changed.
ACQUAINTED_S = LOOP_S + 90
OPTIONS: dict[str, dict[str, dict[str, str]]] = {
    'power': {},
    'power and sensors': {
        'sensor_data': {
            'send_sensor_data': 'true',
            'interval': str(EVERY_S),
            'enable_for_nodes': 'true',
        },
        'zsbm_monitoring': {'enabled': 'true', 'interval_s': str(EVERY_S)},
    },
}


def main() -> None:
    """Measure what is missing of the result file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--nodes', type=int, default=1000)
    parser.add_argument(
        '--minutes',
        type=int,
        default=LOOP_S // 60,
        help="to be watched: whole rounds of Ironic's loop, of two minutes",
    )
    parser.add_argument('--way', action='append', choices=conductors.WAYS)
    parser.add_argument('--work', action='append', choices=list(OPTIONS))
    arguments = parser.parse_args()
    served.in_a_namespace('benchmarks.bench_conductor')
    tree = results.tree_hash(('benchmarks.bench_conductor',))
    runs = kept.load(RESULT, tree, conductors.Run)
    known = {(run.nodes, run.way, run.work) for run in runs}
    redfish = arguments.nodes * 3 // 10
    with served.serving(arguments.nodes - redfish, redfish) as fleet:
        for work in arguments.work or OPTIONS:
            for way in arguments.way or conductors.WAYS:
                if (arguments.nodes, way, work) not in known:
                    runs.append(_measure(fleet, way, work, arguments.minutes))
                    kept.store(RESULT, tree, runs)
    for row in conductors.table(runs):
        print('{:6} {:18} {:8} {:>10} {:>12} {:>12} {:>10}'.format(*row))
    if figures := os.environ.get('ZSBM_FIGURES'):
        pathlib.Path(figures).write_text(json.dumps(conductors.figures(runs)))


def _measure(
    fleet: served.Served, way: str, work: str, minutes: int
) -> conductors.Run:
    with _conductor(fleet, way, work) as ironic:
        time.sleep(ACQUAINTED_S)
        cpu_s, began, sent = _cpu_s(ironic), time.monotonic(), _packets()
        peak = 0
        for _ in range(minutes):
            time.sleep(EVERY_S)
            peak = max(peak, _resident_bytes(ironic))
        seconds = time.monotonic() - began
        return conductors.Run(
            nodes=len(fleet.members),
            way=way,
            work=work,
            minutes=minutes,
            cpu_s_per_minute=round(60 * (_cpu_s(ironic) - cpu_s) / seconds, 2),
            packets_per_minute=round(60 * (_packets() - sent) / seconds),
            resident_bytes=peak,
        )


@contextlib.contextmanager
def _conductor(
    fleet: served.Served, way: str, work: str
) -> Iterator[ironic_service.Ironic]:
    options = {
        'conductor': {'sync_power_state_interval': str(LOOP_S)},
        'zsbm_bmc': {'power_poll_s': '4'},
        **OPTIONS[work],
    }
    ironic = ironic_service.Ironic(options)
    ironic.starting_s = STARTING_S
    try:
        ironic.make_database()
        with tempfile.NamedTemporaryFile('w', suffix='.json') as members:
            json.dump(fleet.members, members)
            members.flush()
            subprocess.run(  # noqa: S603 - a list, never a shell
                [sys.executable, '-m', recorded.__name__]
                + [str(ironic.config_file), members.name, way],
                check=True,
            )
        ironic.start()
        yield ironic
    finally:
        # What was measured does not depend on how it ends.
        ironic.stop(hard=True)
        ironic.remove()


def _family(ironic: ironic_service.Ironic) -> list[list[str]]:
    """Return the words of /proc/PID/stat of a conductor and its children."""
    stats: dict[int, list[str]] = {}
    for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            # From field 3 on: the name in parentheses may hold spaces.
            stats[int(path.parent.name)] = (
                path.read_text().rpartition(')')[2].split()
            )
    found = {ironic.process.pid}
    while True:
        more = {
            pid
            for pid, words in stats.items()
            if int(words[1]) in found and pid not in found
        }
        if not more:
            return [stats[pid] for pid in found]
        found |= more


def _cpu_s(ironic: ironic_service.Ironic) -> float:
    """Return user and system time of all, those that have ended included."""
    # proc(5): utime, stime, cutime and cstime are fields 14 to 17.
    return sum(
        sum(map(int, words[11:15])) / CLOCK_TICKS for words in _family(ironic)
    )


def _resident_bytes(ironic: ironic_service.Ironic) -> int:
    # Field 24.
    return sum(PAGE_BYTES * int(words[21]) for words in _family(ironic))


def _packets() -> int:
    """Return the packets that this network namespace has sent on loopback."""
    return sum(
        # proc(5): eight columns of what came in, then bytes and packets.
        int(line.split(':')[1].split()[9])
        for line in pathlib.Path('/proc/net/dev').read_text().splitlines()
        if line.strip().startswith('lo:')
    )


if __name__ == '__main__':
    main()
