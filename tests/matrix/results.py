# SPDX-License-Identifier: Apache-2.0
"""Result files: tests/results/GROUP/ROW.json, committed with the code.

A result stands while the hash of the code is the one in its file. The hash
covers every file of the checkout, committed or not, that the row stands on
(`closure`): never documentation, release notes and the result files.
"""

import dataclasses
import datetime
import enum
import hashlib
import json
import os
import pathlib
import subprocess
from collections.abc import Collection
from typing import Any

from tests.matrix import checks, closure, rows

FOLDER = checks.TOP / 'tests' / 'results'
NOT_CODE = (
    'benchmarks/results/',
    'doc/',
    'releasenotes/',
    'tests/results/',
)


class State(enum.Enum):
    """What is known of a row."""

    GREEN = 'green'
    FAILED = 'failed'
    STALE = 'stale'
    MISSING = 'missing'


def is_code(name: str) -> bool:
    """Say whether a change of this file makes results stale.

    The texts at the top (README.rst and its like) are documentation.
    """
    if name.startswith(NOT_CODE):
        return False
    return not ('/' not in name and name.endswith('.rst'))


def tree_of(row: rows.Row) -> str:
    """Return the hash of the code that a row stands on."""
    return tree_hash(row.modules)


def tree_hash(
    modules: Collection[str] | None = None, top: pathlib.Path = checks.TOP
) -> str:
    """Return the SHA-256 of names, run bits and contents of the code.

    :param modules: only of what these stand on; None is all of it.
    """
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '-c', '-o', '--exclude-standard'],
        cwd=top,
        stdout=subprocess.PIPE,
        check=True,
    )
    names = {os.fsdecode(name) for name in listed.stdout.split(b'\0') if name}
    names = set(filter(is_code, names))
    if modules is not None:
        names = closure.of(modules, names, top)
    digest = hashlib.sha256()
    for name in sorted(names):
        path = top / name
        if path.is_symlink():
            content = os.readlink(path).encode()
        elif path.is_file():
            content = path.read_bytes()
        else:
            continue
        run_bit = os.access(path, os.X_OK)
        digest.update(
            f'{name}\0{run_bit}\0{hashlib.sha256(content).hexdigest()}\n'.encode()
        )
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Result:
    """What one run of a row gave.

    :ivar tree: `tree_hash` of the code that was run.
    :ivar date: UTC, ISO 8601, when it ended.
    :ivar figures: what the row measured, for the tables of the docs.
    """

    tree: str
    date: str
    seconds: float
    passed: int
    failed: int
    skipped: int
    figures: dict[str, Any]

    @classmethod
    def of(cls, tree: str, outcome: checks.Outcome) -> 'Result':
        """Make the result of an outcome that was seen just now."""
        now = datetime.datetime.now(datetime.UTC)
        return cls(
            tree=tree,
            date=now.isoformat(timespec='seconds'),
            seconds=round(outcome.seconds, 1),
            passed=outcome.passed,
            failed=outcome.failed,
            skipped=outcome.skipped,
            figures=outcome.figures,
        )

    def state(self, tree: str) -> State:
        """Return what this result says of the code with the hash `tree`."""
        if self.tree != tree:
            return State.STALE
        if self.failed or not self.passed:
            return State.FAILED
        return State.GREEN


def write(
    group: str, row: str, result: Result, folder: pathlib.Path = FOLDER
) -> pathlib.Path:
    """Write the file of a row and return its path."""
    path = folder / group / f'{row}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(dataclasses.asdict(result), indent=2, sort_keys=True) + '\n'
    )
    return path


def read(group: str, row: str, folder: pathlib.Path = FOLDER) -> Result | None:
    """Return the result of a row, or None where it was never run."""
    path = folder / group / f'{row}.json'
    if not path.exists():
        return None
    return Result(**json.loads(path.read_text()))


def state(
    group: str, row: str, tree: str, folder: pathlib.Path = FOLDER
) -> State:
    """Return what is known of a row for the code with the hash `tree`."""
    result = read(group, row, folder)
    return State.MISSING if result is None else result.state(tree)
