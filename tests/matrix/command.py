# SPDX-License-Identifier: Apache-2.0
"""The command line of `tools/test`."""

import argparse
import pathlib
import sys
import time
from collections.abc import Sequence

from tests.matrix import checks, lanes, parts, results, rows
from zsbm_ironic.lab import network

LAB_DOWN_S = 300
# Where tests/e2e keeps the state of its labs.
LAB_STATES = pathlib.Path('/var/lib/zsbm-lab-test*')
# A part is ended at this many times its budget.
PATIENCE = 3


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/test',
        description='Run the checks of this project: the sample that CI '
        'runs, some parts of it, or the whole matrix.',
    )
    parser.add_argument(
        'what',
        nargs='*',
        metavar='PART | full [GROUP[/ROW]]...',
        help='parts of the sample: ' + ', '.join(parts.BY_NAME),
    )
    parser.add_argument(
        '--list', action='store_true', help='print the parts and their budgets'
    )
    parser.add_argument(
        '--status',
        action='store_true',
        help='with full: print which rows are green, failed, stale, missing',
    )
    parser.add_argument(
        '--again',
        action='store_true',
        help='with full: run green rows too',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='with full: so many rows side by side (root; about half a core '
        'and 4 GB each); benchmarks follow, one by one',
    )
    parser.add_argument(
        '--profiles', action='store_true', help=argparse.SUPPRESS
    )
    arguments = parser.parse_intermixed_args(argv)
    if arguments.jobs < 1:
        parser.error('--jobs wants a number from 1')
    arguments.full = arguments.what[:1] == ['full']
    arguments.rows = arguments.what[1:] if arguments.full else []
    if not arguments.full:
        for name in arguments.what:
            if name not in parts.BY_NAME:
                parser.error(f'no part {name}: {", ".join(parts.BY_NAME)}')
    return arguments


def _profiles(arguments: argparse.Namespace) -> list[str]:
    some: Sequence[rows.Row | parts.Part] = parts.PARTS
    if arguments.full:
        some = _rows(arguments)
    elif arguments.what:
        some = [parts.BY_NAME[name] for name in arguments.what]
    return sorted({profile for one in some for profile in one.profiles})


def _rows(arguments: argparse.Namespace) -> list[rows.Row]:
    try:
        return rows.chosen(rows.every(), arguments.rows)
    except ValueError as exc:
        sys.exit(f'tools/test: {exc}')


def _sample(names: Sequence[str]) -> checks.Outcome:
    total = checks.Outcome()
    for part in [parts.BY_NAME[name] for name in names] or parts.PARTS:
        print(f'== {part.name}: {part.title}', flush=True)
        began = time.monotonic()
        outcome = checks.Outcome()
        for check in part.checks:
            outcome.add(check.run(PATIENCE * part.budget_s, {}))
        seconds = time.monotonic() - began
        late = ', OVER BUDGET' if seconds > part.budget_s else ''
        print(
            f'   {part.name}: {outcome.passed} passed, {outcome.failed} '
            f'failed, {outcome.skipped} skipped in {seconds:.0f} s of '
            f'{part.budget_s} s{late}',
            flush=True,
        )
        total.add(outcome)
    return total


def _status(some: Sequence[rows.Row]) -> checks.Outcome:
    total = checks.Outcome()
    for row in some:
        state = results.state(row.group, row.name, results.tree_of(row))
        result = results.read(row.group, row.name)
        seen = f'{result.date}  {result.seconds:7.1f} s' if result else ''
        print(f'{state.value:8} {row.title:44} {seen}'.rstrip())
        if state is results.State.GREEN:
            total.passed += 1
        elif state is results.State.FAILED:
            total.failed += 1
        else:
            total.skipped += 1
    return total


def _full(some: Sequence[rows.Row], again: bool) -> checks.Outcome:
    total = checks.Outcome()
    for row in some:
        tree = results.tree_of(row)
        known = results.state(row.group, row.name, tree)
        if known is results.State.GREEN and not again:
            print(f'== {row.title}: green already', flush=True)
            total.passed += 1
            continue
        print(f'== {row.title} ({known.value})', flush=True)
        outcome = row.run()
        total.add(outcome)
        print(
            f'   {row.title}: {outcome.passed} passed, {outcome.failed} '
            f'failed, {outcome.skipped} skipped in {outcome.seconds:.0f} s; '
            f'{_kept(row, tree, outcome)}',
            flush=True,
        )
    return total


def _kept(row: rows.Row, tree: str, outcome: checks.Outcome) -> str:
    """Write the result file, unless the code changed meanwhile."""
    if results.tree_of(row) != tree:
        return 'no result kept: the code changed while it ran'
    result = results.Result.of(tree, outcome)
    path = results.write(row.group, row.name, result)
    return str(path.relative_to(checks.TOP))


def _run(arguments: argparse.Namespace) -> checks.Outcome:
    if not arguments.full:
        return _sample(arguments.what)
    some = _rows(arguments)
    if arguments.status:
        return _status(some)
    if arguments.jobs == 1:
        return _full(some, arguments.again)
    total, alone = lanes.run(some, arguments.jobs, arguments.again)
    total.add(_full(alone, arguments.again))
    return total


def _brings_lab_up(arguments: argparse.Namespace) -> bool:
    """Say whether tests of a lab are run: else a lab is somebody else's.

    What runs in a lane takes its lab along.
    """
    if not arguments.full:
        return not arguments.what or 'e2e' in arguments.what
    if arguments.status:
        return False
    groups = {row.group for row in _rows(arguments)}
    if arguments.jobs > 1:
        return lanes.ALONE in groups
    return bool(groups - {'checks', 'functional'})


def _labs_down() -> int:
    """Take down the labs of the tests; return how many did not go."""
    down = checks.Command('zsbm-lab down', ('zsbm-lab', 'down'))
    return sum(
        down.run(LAB_DOWN_S, {'ZSBM_LAB_DIR': str(state)}).failed
        for state in LAB_STATES.parent.glob(LAB_STATES.name)
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for; print the closing line; 0 where all passed.

    A lab that the tests brought up is taken down; one that was there stays.
    """
    arguments = _arguments(argv)
    if arguments.profiles:
        print('\n'.join(_profiles(arguments)))
        return 0
    if arguments.list:
        for part in parts.PARTS:
            print(f'{part.name:12}{part.budget_s:6} s  {part.title}')
        return 0
    began = time.monotonic()
    ours = _brings_lab_up(arguments) and not network.exists()
    total = _run(arguments)
    if ours and network.exists():
        total.failed += _labs_down()
    print(f'in {time.monotonic() - began:.0f} s', flush=True)
    print(
        f'{total.passed} passed, {total.failed} failed, '
        f'{total.skipped} skipped',
        flush=True,
    )
    return 1 if total.failed else 0
