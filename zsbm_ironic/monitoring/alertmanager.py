# SPDX-License-Identifier: Apache-2.0
"""Which alerts there are of each node, as Alertmanager's API tells.

Called by the conductor's periodic task, which writes their start and end into
the history of nodes. What is told is text from elsewhere: each alert is
checked, and what is none is left out.
"""

import collections
import contextlib
import dataclasses
import datetime
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import requests
from requests import exceptions

from zsbm_ironic.monitoring import exception, line

TIMEOUT_S = 10
# Of an answer: an alert has about 1 kB.
LIMIT_BYTES = 16 << 20
# Of a node at the same time, of each whom they concern: what the system of a
# server tells must not keep out what its hardware does.
LIMIT_ALERTS = 32
TEXT_CHARS = 300

_FINGERPRINT = re.compile(r'[0-9a-f]{1,32}\Z')
_NAME = re.compile(r'[a-zA-Z_][a-zA-Z0-9_]{0,63}\Z')


@dataclasses.dataclass(frozen=True)
class Alert:
    """One alert of one node.

    :ivar fingerprint: of its labels: the same for as long as it is there.
    :ivar since: when it began, as 2026-11-28T07:00:01Z.
    :ivar active: neither silenced nor inhibited: somebody is told.
    """

    fingerprint: str
    name: str
    node_uuid: str
    severity: str
    summary: str
    remedy: str
    since: str
    active: bool = True

    @property
    def started(self) -> str:
        """What history says of its start."""
        return (
            f'Alert {self.name} ({self.severity}) since {self.since}: '
            f'{self.summary} {self.remedy}'
        ).rstrip()

    @property
    def ended(self) -> str:
        """What history says of its end."""
        return (
            f'Alert {self.name} of {self.since} is over: {self.summary}'
        ).rstrip()


ByNode = dict[str, dict[str, Alert]]


@dataclasses.dataclass(frozen=True)
class Told:
    """What Alertmanager said.

    :ivar alerts: by node and fingerprint.
    :ivar present: fingerprints of all, those too that are too many.
    :ivar up_s: for how long it runs; negative where clocks differ.
    """

    alerts: ByNode
    present: frozenset[str]
    up_s: float


def ask(url: str, ca_file: str | None = None) -> Told:
    """Ask Alertmanager for all alerts that are not over.

    :param ca_file: certificates to check it by; None: those of the host.
    :raises AlertmanagerUnusable: it cannot be asked, or answers otherwise.
    """
    with _translated(url), requests.Session() as session:
        session.trust_env = False
        session.verify = ca_file or True
        base = f'{url.rstrip("/")}/api/v2'
        status = _get(session, f'{base}/status')
        alerts = _get(session, f'{base}/alerts')
        began = _moment(status['uptime'])
        if not isinstance(alerts, list):
            raise ValueError('its alerts are no list')
        now = datetime.datetime.now(datetime.UTC)
        by_node, present = _by_node(alerts)
        return Told(by_node, present, (now - began).total_seconds())


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (
        exceptions.RequestException,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        RecursionError,
    ) as exc:
        raise exception.AlertmanagerUnusable(
            url=url, problem=_line(exc) or type(exc).__name__
        ) from exc


def _get(session: requests.Session, url: str) -> Any:
    with session.get(
        url, timeout=TIMEOUT_S, allow_redirects=False, stream=True
    ) as answer:
        if answer.status_code != requests.codes['ok']:
            raise ValueError(f'status {answer.status_code} of {url}')
        body = bytearray()
        for part in answer.iter_content(1 << 16):
            body += part
            if len(body) > LIMIT_BYTES:
                raise ValueError(f'more than {LIMIT_BYTES} bytes of {url}')
    return json.loads(body)


def _by_node(said: list[Any]) -> tuple[ByNode, frozenset[str]]:
    found: ByNode = {}
    present: set[str] = set()
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for one in said:
        alert = _alert(one)
        if alert is None:
            continue
        present.add(alert.fingerprint)
        whom = alert.node_uuid, _line(one['labels'].get('concerns', ''))
        counts[whom] += 1
        if counts[whom] <= LIMIT_ALERTS:
            those = found.setdefault(alert.node_uuid, {})
            those[alert.fingerprint] = alert
    return found, frozenset(present)


def _alert(said: Any) -> Alert | None:
    """Return an alert; None: it is of no node, or not as it should be."""
    try:
        labels, texts = said['labels'], said['annotations']
        node_uuid, name = labels['node_uuid'], labels['alertname']
        fingerprint = said['fingerprint']
        since = _moment(said['startsAt'])
        active = said['status']['state'] == 'active'
        if not _FINGERPRINT.match(fingerprint) or not _NAME.match(name):
            return None
        return Alert(
            fingerprint,
            name,
            str(node_uuid),
            _line(labels.get('severity', '')),
            _line(texts.get('summary', '')),
            _line(texts.get('remedy', '')),
            f'{since:%Y-%m-%dT%H:%M:%SZ}',
            active,
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def _moment(text: Any) -> datetime.datetime:
    found = datetime.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError('a time without its zone')
    return found.astimezone(datetime.UTC)


def _line(said: object) -> str:
    return line.line(said, TEXT_CHARS)


def kept(alerts: Mapping[str, Alert]) -> dict[str, dict[str, Any]]:
    """Return alerts by fingerprint, as JSON holds them."""
    return {key: dataclasses.asdict(one) for key, one in alerts.items()}


def read(said: Any) -> dict[str, Alert]:
    """Return what `kept` made; what is not of that shape is left out."""
    found: dict[str, Alert] = {}
    for key, one in said.items() if isinstance(said, dict) else ():
        with contextlib.suppress(TypeError):
            found[key] = Alert(**one)
    return found


def changes(
    known: Mapping[str, Alert],
    told: Mapping[str, Alert],
    present: Collection[str],
    settled: bool,
) -> tuple[list[Alert], list[Alert]]:
    """Return the alerts of a node that began, and those that ended.

    One that is silenced or inhibited begins nothing, and ends nothing.

    :param known: those whose start was written down.
    :param present: fingerprints of all that there are, of any node.
    :param settled: whether Alertmanager runs long enough to be believed that
        what it does not tell is over.
    """
    began = [
        one for key, one in told.items() if one.active and key not in known
    ]
    ended = [one for key, one in known.items() if key not in present]
    return began, ended if settled else []
