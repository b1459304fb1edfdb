# SPDX-License-Identifier: Apache-2.0
"""What a check found: one line for a person, one object for a script."""

import dataclasses
import enum
import json
from collections.abc import Iterable


class Level(enum.Enum):
    """How bad it is: a warning works, but not as it should."""

    OK = 'OK'
    WARN = 'WARN'
    FAIL = 'FAIL'


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of `zsbm-status check`.

    :ivar name: what was looked at.
    :ivar what: what was seen.
    :ivar remedy: what to do; empty where nothing is to be done.
    """

    level: Level
    name: str
    what: str
    remedy: str = ''


def ok(name: str, what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, name, what)


def warn(name: str, what: str, remedy: str) -> Finding:
    """Return a finding that works, but not as it should."""
    return Finding(Level.WARN, name, what, remedy)


def fail(name: str, what: str, remedy: str) -> Finding:
    """Return a finding that keeps servers from being delivered."""
    return Finding(Level.FAIL, name, what, remedy)


def as_text(findings: Iterable[Finding]) -> str:
    """Return a line for each finding and the remedy below it."""
    lines = []
    for finding in findings:
        lines.append(
            f'{finding.level.value:4}  {finding.name}: {finding.what}'
        )
        if finding.remedy:
            lines.append(f'      -> {finding.remedy}')
    return '\n'.join(lines)


def as_json(findings: Iterable[Finding]) -> str:
    """Return the findings as a JSON list of objects."""
    rows = [
        {
            'level': finding.level.value,
            'name': finding.name,
            'what': finding.what,
            'remedy': finding.remedy,
        }
        for finding in findings
    ]
    return json.dumps(rows, indent=2)


def exit_status(findings: Iterable[Finding]) -> int:
    """Return 1 where something failed, else 0: a warning is no failure."""
    return int(any(one.level is Level.FAIL for one in findings))
