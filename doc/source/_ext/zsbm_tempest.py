# SPDX-License-Identifier: Apache-2.0
"""`.. tempest:: api`, `reasons`, `scenarios`: upstream's tests, last run.

They are made when the documents are built, from the result files of the rows
`functional/tempest` and `cloud/tempest_*` and the lists in tests/tempest.
"""

import json
import tomllib
from collections.abc import Callable
from typing import Any, ClassVar

from sphinx.application import Sphinx
from sphinx.util import docutils
from zsbm_reference import TOP, escaped, table

RESULTS = TOP / 'tests' / 'results'
SCENARIOS = TOP / 'tests' / 'tempest' / 'scenarios.toml'
TYPES = ('fake-hardware', 'zsbm')
OUTCOMES = ('passed', 'skipped', 'failed')
NOTHING = 'Not run yet.\n'


def _result(group: str, row: str) -> dict[str, Any] | None:
    """Return what the last run of a row gave; None: it was never run."""
    path = RESULTS / group / f'{row}.json'
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def api() -> str:
    """Return how many tests of each module came to what, for both types."""
    result = _result('functional', 'tempest')
    if result is None:
        return NOTHING
    figures = result['figures']
    runs = {name: figures[name]['areas'] for name in TYPES}
    areas = sorted({area for run in runs.values() for area in run})
    rows = [
        (
            f'``{area}``',
            *(
                str(runs[name].get(area, {}).get(outcome, 0))
                for name in TYPES
                for outcome in OUTCOMES
            ),
        )
        for area in areas
    ]
    sums = [
        str(sum(area.get(outcome, 0) for area in runs[name].values()))
        for name in TYPES
        for outcome in OUTCOMES
    ]
    head = [f'{name}: {outcome}' for name in TYPES for outcome in OUTCOMES]
    versions = ', '.join(
        f'{name} {version}' for name, version in figures['versions'].items()
    )
    return f'{result["date"][:10]}, {versions}.\n\n' + table(
        ('Module', *head), [*rows, ('**all**', *sums)]
    )


def reasons() -> str:
    """Return why tests of the API did not pass."""
    result = _result('functional', 'tempest')
    if result is None:
        return NOTHING
    rows = [
        (name, outcome, str(count), escaped(' '.join(reason.split())))
        for name in TYPES
        for outcome, some in result['figures'][name]['reasons'].items()
        for reason, count in sorted(some.items())
    ]
    return table(('Type', 'Outcome', 'Tests', 'Reason'), rows)


def scenarios() -> str:
    """Return which scenarios are run, with the last result, and which not."""
    rows = []
    for entry in tomllib.loads(SCENARIOS.read_text())['scenario']:
        name = f'``{entry["tests"]}``'
        if 'row' not in entry:
            reason = escaped(' '.join(entry['reason'].split()))
            rows.append((name, 'not run', reason))
            continue
        result = _result(*entry['row'].split('/'))
        seen = 'not run yet'
        if result is not None:
            good = result['passed'] and not result['failed']
            word = 'passed' if good else 'FAILED'
            seen = f'{word} on {result["date"][:10]}'
        rows.append((name, seen, f'row ``{entry["row"]}``'))
    return table(('Tests', 'Result', 'Row, or reason'), rows)


class Tempest(docutils.SphinxDirective):
    """`.. tempest:: api`: a table that is made from results."""

    required_arguments = 1
    makers: ClassVar[dict[str, Callable[[], str]]] = {
        'api': api,
        'reasons': reasons,
        'scenarios': scenarios,
    }

    def run(self) -> list[Any]:
        """Return the nodes of the table."""
        self.env.note_dependency(str(SCENARIOS))
        for path in RESULTS.glob('*/tempest*.json'):
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(self.makers[self.arguments[0]]())


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive('tempest', Tempest)
    return {'parallel_read_safe': True}
