# SPDX-License-Identifier: Apache-2.0
"""`.. benchmark:: NAME`: table and plot of benchmarks/results/NAME.json.

`.. conversions:: NAME`, `.. conductor:: NAME` and `.. fleet:: NAME` are tables
alone. All are made when the documents are built, from what was measured and by
the module that the benchmark itself prints with.
"""

import json
import pathlib
import statistics
from typing import Any

import matplotlib as mpl
from matplotlib import figure
from sphinx.application import Sphinx
from sphinx.util import docutils
from zsbm_reference import FOLDER, TOP, table

from benchmarks import asked, comparison, conductors, conversions

RESULTS = TOP / 'benchmarks' / 'results'
WAYS = {'stock': 'upstream', 'zsbm': 'zsbm'}


def plot(runs: list[comparison.Run], path: pathlib.Path) -> None:
    """Draw the median phases of both ways as two bars, beside each other."""
    drawing = figure.Figure(figsize=(9, 2.6), layout='constrained')
    axes = drawing.subplots()
    colours = mpl.colormaps['viridis']
    for row, (stack, name) in enumerate(reversed(WAYS.items())):
        begin = 0.0
        some = comparison.of(runs, stack)
        for number, phase in enumerate(comparison.PHASES):
            seconds = statistics.median(run.phases_s[phase] for run in some)
            axes.barh(
                row,
                seconds,
                left=begin,
                color=colours(number / len(comparison.PHASES)),
                edgecolor='white',
                label=phase if row == 0 else None,
            )
            begin += seconds
        axes.text(begin, row, f' {name}: {begin:.0f} s', va='center')
    axes.set_yticks([])
    axes.set_xlabel('seconds')
    axes.margins(x=0.15)
    axes.spines[['top', 'right', 'left']].set_visible(False)
    drawing.legend(loc='outside lower center', ncols=4, frameon=False)
    # The same numbers give the same file.
    with mpl.rc_context({'svg.hashsalt': path.name}):
        drawing.savefig(path, metadata={'Date': None})


class Measured(docutils.SphinxDirective):
    """A directive that is given the name of a result file."""

    required_arguments = 1

    def run(self) -> list[Any]:
        """Return the nodes of what was measured."""
        source = RESULTS / f'{self.arguments[0]}.json'
        self.env.note_dependency(str(source))
        if not source.exists():
            return self.parse_text_to_nodes('Not measured yet.\n')
        runs = json.loads(source.read_text())['runs']
        return self.parse_text_to_nodes(self.shown(runs))

    def shown(self, entries: list[dict[str, Any]]) -> str:
        """Return what is to be read of the runs."""
        raise NotImplementedError


class Benchmark(Measured):
    """`.. benchmark:: deploy-metal-uefi`: what was measured, and when."""

    def shown(self, entries: list[dict[str, Any]]) -> str:
        """Return table and plot; the plot is drawn."""
        name = self.arguments[0]
        runs = [comparison.Run(**entry) for entry in entries]
        folder = pathlib.Path(self.env.srcdir, FOLDER, 'plots')
        folder.mkdir(parents=True, exist_ok=True)
        plot(runs, folder / f'{name}.svg')
        head, *rows = comparison.table(runs)
        pairs = len(comparison.of(runs, 'zsbm'))
        return (
            f'{pairs} pairs, medians; a ratio is the median of the ratios of '
            'the pairs, with the smallest and the largest beside it.\n\n'
            f'.. image:: /{FOLDER}/plots/{name}.svg\n'
            f'   :alt: phases of a deploy, {name}\n\n'
            + table(('Figure', *head[1:-1], 'Verdict'), rows)
        )


class Conversions(Measured):
    """`.. conversions:: image-convert`: what conversions took."""

    def shown(self, entries: list[dict[str, Any]]) -> str:
        """Return the table."""
        runs = [conversions.Run(**entry) for entry in entries]
        head, *rows = conversions.table(runs)
        # An earlier account, read twice a second, missed what is shorter.
        rows = [
            (*row[:-2], '?', '?') if row[-1] == '0' else row for row in rows
        ]
        rounds = len({run.round for run in runs})
        return (
            f'Medians of {rounds} rounds; a ratio is the median of the '
            'ratios of the rounds, with the smallest and the largest beside '
            'it.\n\n' + table(head, rows)
        )


class Conductor(Measured):
    """`.. conductor:: conductor`: what watching servers costs a conductor."""

    def shown(self, entries: list[dict[str, Any]]) -> str:
        """Return the table."""
        runs = [conductors.Run(**entry) for entry in entries]
        head, *rows = conductors.table(runs)
        return table(head, rows)


class Fleet(Measured):
    """`.. fleet:: fleet`: what one round over a fleet costs each way."""

    def shown(self, entries: list[dict[str, Any]]) -> str:
        """Return the table."""
        head, *rows = asked.table(entries)
        return table(head, rows)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive('benchmark', Benchmark)
    app.add_directive('conversions', Conversions)
    app.add_directive('conductor', Conductor)
    app.add_directive('fleet', Fleet)
    return {'parallel_read_safe': True}
