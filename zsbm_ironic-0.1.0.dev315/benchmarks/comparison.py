# SPDX-License-Identifier: Apache-2.0
"""What the runs of a comparison say: phases, ratios, who is slower.

Knows no lab and starts nothing: the documentation makes its tables and plots
from result files by this module, the benchmark prints the same.
"""

import dataclasses
import statistics

# A median ratio above this, with every pair above 1, is called slower.
SLOWER = 1.05
PHASES = (
    'request to power on',
    'power on to DHCP',
    'DHCP to loader',
    'loader to ramdisk up',
    'ramdisk up to write',
    'write to power on',
    'boot to SSH',
)
TOTAL = 'total'
HEAD = ['', 'upstream', 'zsbm', 'ratio', 'spread', '']


@dataclasses.dataclass(frozen=True)
class Run:
    """What one deploy took.

    :ivar stack: stock (upstream's way) or zsbm.
    :ivar phases_s: seconds of each phase, and in total.
    :ivar idle_s: seconds in which neither server nor management node worked.
    :ivar cpu_s: CPU seconds by group of processes.
    :ivar peak_bytes: largest resident memory by group of processes.
    :ivar sent_bytes: what the management node sent to the server.
    """

    stack: str
    phases_s: dict[str, float]
    idle_s: float
    cpu_s: dict[str, float]
    peak_bytes: dict[str, int]
    sent_bytes: int


def of(runs: list[Run], stack: str) -> list[Run]:
    """Return the runs of one way."""
    return [run for run in runs if run.stack == stack]


def table(runs: list[Run]) -> list[list[str]]:
    """Return a row a figure: upstream, ours, ratio, spread, verdict.

    Medians of all runs; the ratio is the median of the pairs' ratios.
    """
    stock, ours = of(runs, 'stock'), of(runs, 'zsbm')
    rows = [HEAD]
    for name in (*PHASES, TOTAL):
        rows.append(
            _row(
                f'{name} (s)',
                [run.phases_s[name] for run in stock],
                [run.phases_s[name] for run in ours],
            )
        )
    rows.append(
        _row(
            'idle waits (s)',
            [run.idle_s for run in stock],
            [run.idle_s for run in ours],
        )
    )
    for group in ('ironic', 'boot service', 'server'):
        rows.append(
            _row(
                f'CPU of {group} (s)',
                [run.cpu_s[group] for run in stock],
                [run.cpu_s[group] for run in ours],
            )
        )
    for group in ('ironic', 'boot service'):
        rows.append(
            _row(
                f'memory of {group} (MB)',
                [run.peak_bytes[group] / 1e6 for run in stock],
                [run.peak_bytes[group] / 1e6 for run in ours],
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
    ratios = [
        mine / theirs
        for theirs, mine in zip(stock, ours, strict=False)
        if theirs
    ]
    row = [
        name,
        f'{statistics.median(stock):.1f}',
        f'{statistics.median(ours):.1f}',
    ]
    if not ratios:
        return [*row, '', '', '']
    ratio = statistics.median(ratios)
    slower = name.endswith('(s)') and ratio > SLOWER and min(ratios) > 1
    spread = f'{min(ratios):.2f} - {max(ratios):.2f}'
    return [*row, f'{ratio:.2f}', spread, 'slower' if slower else '']
