# SPDX-License-Identifier: Apache-2.0
"""`.. benchmark:: NAME`: table and plot of benchmarks/results/NAME.json.

`.. conversions:: NAME` is a table alone. All are made when the documents are
built, from what was measured and by the module that the benchmark itself
prints with.
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

from benchmarks import comparison, conversions

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


class Benchmark(docutils.SphinxDirective):
    """`.. benchmark:: deploy-metal-uefi`: what was measured, and when."""

    required_arguments = 1

    def run(self) -> list[Any]:
        """Return the nodes of table and plot."""
        name = self.arguments[0]
        source = RESULTS / f'{name}.json'
        self.env.note_dependency(str(source))
        if not source.exists():
            return self.parse_text_to_nodes('Not measured yet.\n')
        document = json.loads(source.read_text())
        runs = [comparison.Run(**entry) for entry in document['runs']]
        folder = pathlib.Path(self.env.srcdir, FOLDER, 'plots')
        folder.mkdir(parents=True, exist_ok=True)
        plot(runs, folder / f'{name}.svg')
        head, *rows = comparison.table(runs)
        pairs = len(comparison.of(runs, 'zsbm'))
        return self.parse_text_to_nodes(
            f'{pairs} pairs, medians; a ratio is the median of the ratios of '
            'the pairs, with the smallest and the largest beside it.\n\n'
            f'.. image:: /{FOLDER}/plots/{name}.svg\n'
            f'   :alt: phases of a deploy, {name}\n\n'
            + table(('Figure', *head[1:-1], 'Verdict'), rows)
        )


class Conversions(docutils.SphinxDirective):
    """`.. conversions:: image-convert`: what conversions took."""

    required_arguments = 1

    def run(self) -> list[Any]:
        """Return the nodes of the table."""
        source = RESULTS / f'{self.arguments[0]}.json'
        self.env.note_dependency(str(source))
        if not source.exists():
            return self.parse_text_to_nodes('Not measured yet.\n')
        document = json.loads(source.read_text())
        runs = [conversions.Run(**entry) for entry in document['runs']]
        head, *rows = conversions.table(runs)
        # The account reads twice a second: what is shorter is not in it.
        rows = [
            (*row[:-2], '?', '?') if row[-1] == '0' else row for row in rows
        ]
        rounds = len({run.round for run in runs})
        return self.parse_text_to_nodes(
            f'Medians of {rounds} rounds; a ratio is the median of the '
            'ratios of the rounds, with the smallest and the largest beside '
            'it.\n\n' + table(head, rows)
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive('benchmark', Benchmark)
    app.add_directive('conversions', Conversions)
    return {'parallel_read_safe': True}
