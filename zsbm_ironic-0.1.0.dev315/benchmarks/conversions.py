# SPDX-License-Identifier: Apache-2.0
"""What the runs of conversions say: each way beside `qemu-img convert`.

Knows no lab and starts nothing: the documentation makes its table from the
result file by this module, the benchmarks print the same.
"""

import dataclasses
import json
import pathlib
import statistics

PLAIN, OURS = 'qemu-img convert', 'zsbm-image'
GUESTFS, V2V = 'virt-customize', 'virt-v2v-in-place'
# On the disk that PLAIN wrote to; and once more, when nothing is missing.
ADAPTED, AGAIN = 'adapt_image', 'adapt_image, a fit image'
WAYS = (PLAIN, OURS, GUESTFS, V2V, ADAPTED, AGAIN)
HEAD = ('Image', 'Way', 'Seconds', 'Ratio', 'Spread', 'CPU (s)', 'Memory (MB)')
# Which way the image took, by whether a machine was started for it.
_TOOK = {True: 'by a machine of its own', False: 'from user space'}


@dataclasses.dataclass(frozen=True)
class Run:
    """One conversion.

    :ivar round: conversions of one round are compared with each other.
    :ivar machine: one was started for it.
    :ivar ended: it came to its end; one that did not was stopped.
    :ivar peak_bytes: largest resident memory of all its processes together.
    """

    image: str
    way: str
    round: int
    machine: bool
    ended: bool
    seconds: float
    cpu_s: float
    peak_bytes: int


def table(runs: list[Run]) -> list[tuple[str, ...]]:
    """Return a row for each image and way: medians, and ratios of rounds."""
    rows = [HEAD]
    for image in dict.fromkeys(run.image for run in runs):
        for way in WAYS:
            some = [
                run for run in runs if (run.image, run.way) == (image, way)
            ]
            if some:
                rows.append(_row(runs, some))
    return rows


def _row(runs: list[Run], some: list[Run]) -> tuple[str, ...]:
    one = some[0]
    ratios = ratios_of(runs, one.image, one.way)
    way = one.way
    if way == OURS:
        way = f'{way}, {_TOOK[one.machine]}'
    mark = '' if all(run.ended for run in some) else '> '
    return (
        one.image,
        way,
        f'{mark}{statistics.median(run.seconds for run in some):.1f}',
        f'{mark}{statistics.median(ratios):.2f}' if way != PLAIN else '',
        f'{min(ratios):.2f} - {max(ratios):.2f}' if way != PLAIN else '',
        f'{statistics.median(run.cpu_s for run in some):.1f}',
        f'{max(run.peak_bytes for run in some) / 1e6:.0f}',
    )


def ratios_of(runs: list[Run], image: str, way: str) -> list[float]:
    """Return seconds over those of `qemu-img convert`, of each round."""
    plain = {
        run.round: run.seconds
        for run in runs
        if (run.image, run.way) == (image, PLAIN)
    }
    return [
        run.seconds / plain[run.round]
        for run in runs
        if (run.image, run.way) == (image, way)
    ]


def show(runs: list[Run], figures: str | None) -> None:
    """Print the table.

    :param figures: path of a file that the ratios are written to.
    """
    rows = table(runs)
    for row in rows:
        print('{:16s} {:36s} {:>8} {:>6} {:>13} {:>8} {:>12}'.format(*row))
    if figures:
        pathlib.Path(figures).write_text(
            json.dumps({f'{row[0]} {row[1]}': row[3] for row in rows[1:]})
        )
