# SPDX-License-Identifier: Apache-2.0
"""What a server pushes, held against what we take of Prometheus' text format.

Called for each push by `push`. The text is of whoever has root on a server,
so each line is matched as a whole, and what is passed on are lines that were
matched. prometheus_client reads the format too, but takes much that
Prometheus does not.
"""

import dataclasses
import math
import re

from zsbm_ironic.monitoring import exception

# Of prometheus-node-exporter, and of the scripts that write for it.
PREFIXES = ('node_', 'smartmon_')
# What Prometheus writes itself, or is joined by.
RESERVED = frozenset(
    {
        'alertname',
        'instance',
        'job',
        'lessee',
        'node_name',
        'node_uuid',
        'owner',
        'project',
        'rack',
    }
)
LINE_CHARS = 4096
LABELS = 16
VALUE_CHARS = 512

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(
    r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)'
    rf'(?:\{{(?P<labels>(?:{_LABEL}(?:,{_LABEL})*,?)?)\}})?'
    r'[ \t]+(?P<value>[^ \t]+)[ \t]*\Z'
)
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
_NUMBER = re.compile(
    r'(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?'
    r'|[+-]?Inf|NaN)\Z'
)


@dataclasses.dataclass(frozen=True)
class Taken:
    """What is kept of a push.

    :ivar text: lines of samples.
    :ivar series: how many.
    :ivar left_out: samples of other names, with values that are no number, or
        labels that nobody can read.
    """

    text: str
    series: int
    left_out: int


def take(body: bytes, limit: int) -> Taken:
    """Return the samples that we pass on.

    :param limit: how many at most.
    :raises PushRefused: a line is not as it should be, or there are too many.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise exception.PushRefused(problem='it is no UTF-8') from exc
    lines: list[str] = []
    seen: set[str] = set()
    left_out = 0
    for number, line in enumerate(text.split('\n'), 1):
        if not line or line.startswith('#'):
            continue
        identity = _identity(line, number)
        if identity is None:
            left_out += 1
            continue
        if identity in seen:
            raise _wrong(number, 'it is there twice')
        if len(seen) >= limit:
            raise exception.PushRefused(problem=f'more than {limit} series')
        seen.add(identity)
        lines.append(line)
    return Taken('\n'.join([*lines, '']), len(lines), left_out)


def _identity(line: str, number: int) -> str | None:
    """Return name and labels of a sample; None: it is left out."""
    if len(line) > LINE_CHARS:
        raise _wrong(number, f'longer than {LINE_CHARS} characters')
    match = _SAMPLE.match(line)
    if match is None or not _NUMBER.match(match['value']):
        raise _wrong(number, 'no sample without time stamp')
    if not match['name'].startswith(PREFIXES):
        return None
    if not math.isfinite(float(match['value'])):
        return None
    if not match['labels']:
        return match['name']
    pairs = sorted(_PAIR.findall(match['labels']))
    names = {name for name, _ in pairs}
    if len(names) < len(pairs) or len(pairs) > LABELS:
        raise _wrong(number, f'a label twice, or more than {LABELS}')
    for name in names:
        if name in RESERVED or name.startswith('__'):
            raise _wrong(number, f'label {name[:64]} is not its own')
    if any(
        len(value) > VALUE_CHARS or not value.isprintable()
        for _, value in pairs
    ):
        return None
    return f'{match["name"]} {pairs}'


def _wrong(number: int, problem: str) -> exception.PushRefused:
    return exception.PushRefused(problem=f'line {number}: {problem}')
