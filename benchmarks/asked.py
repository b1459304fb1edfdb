# SPDX-License-Identifier: Apache-2.0
"""What the runs of bench_fleet say: each way beside upstream's.

Knows no BMC and starts nothing: the documentation makes its table from the
result file by this module, the benchmark prints the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any

STATES = ('quiet', 'loss 2 %', 'loss 10 %', 'dead 5 %', 'restarted')
# Upstream's way to ask by each protocol.
UPSTREAM = {'ipmi': 'ipmitool', 'redfish': 'upstream redfish'}
HEAD = (
    'State',
    'Way',
    'BMCs',
    'CPU (s)',
    'Less by',
    'Wall (s)',
    'Packets',
    'MB',
    'Silent',
    'Wrong',
)

Run = Mapping[str, Any]


def table(runs: Iterable[Run]) -> list[tuple[str, ...]]:
    """Return a row for each run, in the order of the states."""
    some = sorted(
        runs,
        key=lambda one: (
            STATES.index(one['state']),
            one['protocol'],
            one['way'] != UPSTREAM[one['protocol']],
        ),
    )
    return [HEAD] + [_row(some, one) for one in some]


def _row(runs: list[Run], one: Run) -> tuple[str, ...]:
    ratio = times_less(runs, one)
    way = one['way']
    if way == 'zsbm':
        way = f'zsbm, {one["protocol"]}'
    return (
        one['state'],
        way,
        str(one['bmcs']),
        f'{one["cpu_s"]:.3f}',
        '' if ratio is None else f'{ratio:.0f} times',
        f'{one["wall_s"]:.1f}',
        str(one['packets']),
        f'{one["peak_bytes"] / 1e6:.0f}',
        str(one['silent']),
        str(one['wrong']),
    )


def times_less(runs: Iterable[Run], one: Run) -> float | None:
    """Return CPU of upstream's way over this one's; None for its own."""
    for other in runs:
        if (other['state'], other['way'], other['bmcs']) == (
            one['state'],
            UPSTREAM[one['protocol']],
            one['bmcs'],
        ) and other is not one:
            return float(other['cpu_s'] / max(one['cpu_s'], 0.001))
    return None


def figures(runs: list[Run]) -> dict[str, float]:
    """Return how many times less CPU our way takes, by state."""
    found = {}
    for one in runs:
        ratio = times_less(runs, one)
        if one['way'] == 'zsbm' and ratio is not None:
            name = f'{one["state"]}, {one["protocol"]}: times less CPU'
            found[name] = round(ratio, 1)
    return found
