# SPDX-License-Identifier: Apache-2.0
"""The rows of the whole matrix, found and not listed by hand.

checks
    A row for each part of the sample but those below.
functional, devstack
    A row for each module in tests/functional and tests/devstack, without
    test_.
fleet
    A row for each test in tests/fleet, without test_, with a thousand BMCs.
the name of a module in tests/e2e, without test_, or of a folder in it
    A row for each test in it, without test_: the test
    tests.e2e.test_faults.FaultsTest.test_disk_full is the row
    faults/disk_full.
benchmark
    A row for each benchmarks/bench_*.py, without bench_.

A row that measures something writes a JSON object into the file that the
environment variable ZSBM_FIGURES names.
"""

import ast
import dataclasses
import json
import pathlib
import re
import sys
import tempfile
from collections.abc import Sequence

from tests.matrix import checks, parts

# The longest row is the sample in a fresh root, beside two others.
LIMIT_S = 60 * 60
E2E = 'tests/e2e'
FUNCTIONAL = 'tests/functional'
DEVSTACK = 'tests/devstack'
FLEET = 'tests/fleet'
# What the sample has less of: tests/fleet/scale.py.
FLEET_SIZES = (
    ('ZSBM_FLEET_IPMI', '700'),
    ('ZSBM_FLEET_REDFISH', '300'),
    ('ZSBM_FLEET_ROUNDS', '14400'),
)
PROFILES = ('lab', 'test', 'doc', 'full')


@dataclasses.dataclass(frozen=True)
class Row:
    """One cell of the matrix.

    :ivar profiles: what it needs of bindep.txt.
    :ivar env: environment variables beside those of `tools/test`.
    :ivar modules: whose code, with all that it reaches, the row stands on;
        None is all code.
    """

    group: str
    name: str
    runs: tuple[checks.Command | checks.Tests, ...]
    profiles: tuple[str, ...] = PROFILES
    env: tuple[tuple[str, str], ...] = ()
    modules: tuple[str, ...] | None = None

    @property
    def title(self) -> str:
        return f'{self.group}/{self.name}'

    def run(self) -> checks.Outcome:
        """Run its checks, at most an hour, and read its figures."""
        outcome = checks.Outcome()
        with tempfile.TemporaryDirectory() as folder:
            figures = pathlib.Path(folder, 'figures.json')
            env = {**dict(self.env), 'ZSBM_FIGURES': str(figures)}
            for check in self.runs:
                outcome.add(check.run(LIMIT_S, env))
            if figures.exists():
                outcome.figures.update(json.loads(figures.read_text()))
        return outcome


def of_test(test_id: str) -> Row:
    """Return the row of one end-to-end test."""
    plain = test_id.split('[')[0]
    module, _class, method = plain.rsplit('.', 2)
    # tests, e2e, then a module or a folder of modules.
    group = module.split('.')[2]
    return _row_of_tests(
        group.removeprefix('test_'),
        method.removeprefix('test_'),
        E2E,
        rf'^{re.escape(plain)}(\[|$)',
        module,
    )


def of_fleet_test(test_id: str) -> Row:
    """Return the row of one test of a fleet, in its full size."""
    row = _row_of_tests(
        'fleet',
        test_id.rpartition('.')[2].removeprefix('test_'),
        FLEET,
        rf'^{re.escape(test_id)}(\[|$)',
        test_id.rsplit('.', 2)[0],
    )
    return dataclasses.replace(row, env=FLEET_SIZES)


def _row_of_tests(
    group: str, name: str, folder: str, regex: str, module: str
) -> Row:
    tests = checks.Tests(folder, regex=regex, serial=True, verbose=True)
    more = ('cloud',) if group == 'cloud' else ()
    return Row(
        group,
        name,
        (tests,),
        (*PROFILES, *more),
        # The sample in a fresh root is all of it.
        modules=None if group == 'fresh' else (module,),
    )


def every() -> list[Row]:
    """Return all rows, in the order of running.

    Tests are read from the files: importing them all takes seconds, for each
    row of a matrix that is run side by side.
    """
    found = [
        Row('checks', part.name, part.checks)
        for part in parts.PARTS
        if part.name not in ('devstack', 'e2e', 'fleet', 'functional')
    ]
    for folder in (FUNCTIONAL, DEVSTACK):
        found += [_of_module(folder, one.stem) for one in _modules(folder)]
    for path in _modules(FLEET):
        found += [of_fleet_test(test_id) for test_id in tests_in(path)]
    for path in _modules(E2E):
        found += [of_test(test_id) for test_id in tests_in(path)]
    for path in sorted((checks.TOP / 'benchmarks').glob('bench_*.py')):
        module = f'benchmarks.{path.stem}'
        found.append(
            Row(
                'benchmark',
                path.stem.removeprefix('bench_'),
                (checks.Command(module, (sys.executable, '-m', module)),),
                (*PROFILES, 'bench'),
                modules=(module,),
            )
        )
    return found


def _modules(folder: str) -> list[pathlib.Path]:
    top = checks.TOP / folder
    return sorted([*top.glob('test_*.py'), *top.glob('*/test_*.py')])


def tests_in(path: pathlib.Path) -> list[str]:
    """Return the ids of the tests that a module defines."""
    module = '.'.join(path.relative_to(checks.TOP).with_suffix('').parts)
    return sorted(
        f'{module}.{cls.name}.{function.name}'
        for cls in ast.parse(path.read_text()).body
        if isinstance(cls, ast.ClassDef)
        for function in cls.body
        if isinstance(function, ast.FunctionDef)
        and function.name.startswith('test_')
    )


def _of_module(folder: str, module: str) -> Row:
    group = pathlib.PurePath(folder).name
    return _row_of_tests(
        group,
        module.removeprefix('test_'),
        folder,
        rf'^tests\.{group}\.{module}\.',
        f'tests.{group}.{module}',
    )


def chosen(rows: list[Row], patterns: Sequence[str]) -> list[Row]:
    """Return the rows of each GROUP, or the one GROUP/ROW; all without one.

    :raises ValueError: no row has that name.
    """
    some: list[Row] = []
    for pattern in patterns:
        group, _, name = pattern.partition('/')
        found = [
            row
            for row in rows
            if row.group == group and name in ('', row.name)
        ]
        if not found:
            groups = ', '.join(sorted({row.group for row in rows}))
            raise ValueError(f'no row {pattern}; the groups are {groups}')
        some += [row for row in found if row not in some]
    return some if patterns else rows
