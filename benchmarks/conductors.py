# SPDX-License-Identifier: Apache-2.0
"""What the runs of bench_conductor say: our type beside upstream's.

Knows no Ironic and starts nothing: the documentation makes its table from the
result file by this module, the benchmark prints the same.
"""

import dataclasses

WAYS = ('stock', 'zsbm')
HEAD = (
    'Nodes',
    'Work',
    'Types',
    'CPU (s)',
    'Of one core',
    'Packets',
    'MB',
)
NAMES = {'stock': 'ipmi, redfish', 'zsbm': 'zsbm'}


@dataclasses.dataclass(frozen=True)
class Run:
    """One conductor, watched for some minutes.

    :ivar work: what it did: power, or power and sensors.
    :ivar cpu_s_per_minute: of the conductor and of all that it started.
    :ivar packets_per_minute: between it and its BMCs, both ways.
    :ivar resident_bytes: largest at the end of a minute.
    """

    nodes: int
    way: str
    work: str
    minutes: int
    cpu_s_per_minute: float
    packets_per_minute: int
    resident_bytes: int


def table(runs: list[Run]) -> list[tuple[str, ...]]:
    """Return a row for each run."""
    return [HEAD] + [
        (
            str(run.nodes),
            run.work,
            NAMES[run.way],
            f'{run.cpu_s_per_minute:.1f}',
            f'{run.cpu_s_per_minute / 0.6:.1f} %',
            str(run.packets_per_minute),
            f'{run.resident_bytes / 1e6:.0f}',
        )
        for run in sorted(runs, key=lambda run: (run.nodes, run.work, run.way))
    ]


def figures(runs: list[Run]) -> dict[str, float]:
    """Return per cent of one core, by what was measured."""
    return {
        f'{run.nodes} nodes, {run.work}, {run.way}': round(
            run.cpu_s_per_minute / 0.6, 1
        )
        for run in runs
    }
