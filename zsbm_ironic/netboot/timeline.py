# SPDX-License-Identifier: Apache-2.0
"""What happened during a boot, with times and names: a bounded file a node.

`zsbm-netboot` keeps the events of each MAC in its status directory; the
conductor keeps those that it knows itself (power, agent, states) of each node
in its own, and `merge` puts both in order. The file outlives both programs.
One JSON object a line; the oldest lines go when there are too many.
"""

import dataclasses
import json
import logging
import os
import pathlib
import re
from collections.abc import Iterable

from zsbm_ironic.common import whole_file

LOG = logging.getLogger(__name__)

SOURCES = ('bmc', 'dhcp', 'tftp', 'http', 'agent', 'conductor')
DETAIL_CHARS = 300
DEFAULT_LIMIT = 500

_KEY = re.compile(r'[A-Za-z0-9-]{1,64}')


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happened.

    :ivar timestamp: seconds since the epoch.
    :ivar source: one of SOURCES.
    :ivar name: what happened, such as `dhcp-offer` or `ramdisk`.
    :ivar mac: the MAC that it happened to; empty if not known or many.
    :ivar detail: an address, a path, a cause; cut at DETAIL_CHARS.
    """

    timestamp: float
    source: str
    name: str
    mac: str = ''
    detail: str = ''

    def to_json(self) -> str:
        """Return the event as one line of its file."""
        data = dataclasses.asdict(self)
        data['detail'] = self.detail[:DETAIL_CHARS]
        return json.dumps(data)


def parse(line: str) -> Event | None:
    """Read one line; None where it is no event (cut off by a crash)."""
    try:
        data = json.loads(line)
        return Event(
            timestamp=float(data['timestamp']),
            source=str(data['source']),
            name=str(data['name']),
            mac=str(data.get('mac', '')),
            detail=str(data.get('detail', '')),
        )
    except (ValueError, KeyError, TypeError):
        return None


def merge(*streams: Iterable[Event]) -> list[Event]:
    """Return the events of all streams by time."""
    events = [event for stream in streams for event in stream]
    return sorted(events, key=lambda event: event.timestamp)


class Timeline:
    """A directory of event files.

    :param directory: made when the first event comes; 0750.
    :param limit: how many events are kept of each node or MAC.
    """

    def __init__(
        self,
        directory: pathlib.Path | str,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        self.directory = pathlib.Path(directory)
        self.limit = limit

    def append(self, key: str, *events: Event) -> None:
        """Add events of a node; a disk that is full loses them, no more.

        :param key: node UUID, or MAC with dashes.
        """
        if not events:
            return
        path = self._path(key)
        text = ''.join(event.to_json() + '\n' for event in events)
        try:
            self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            handle = os.open(
                path,
                os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW,
                0o640,
            )
            with os.fdopen(handle, 'a') as stream:
                stream.write(text)
            self._shorten(path)
        except OSError as exc:
            LOG.warning('An event of %s was not kept: %s', key, exc)

    def read(self, key: str) -> list[Event]:
        """Return the events of a node by time; none known is an empty list.

        :param key: node UUID, or MAC with dashes.
        """
        try:
            text = self._path(key).read_text(errors='replace')
        except OSError:
            return []
        events = (parse(line) for line in text.splitlines())
        return merge(event for event in events if event is not None)

    def changed_at(self, key: str) -> float | None:
        """Return when an event was last added, or None without any.

        :param key: node UUID, or MAC with dashes.
        """
        try:
            return self._path(key).stat().st_mtime
        except OSError:
            return None

    def remove(self, key: str) -> None:
        """Forget a node."""
        self._path(key).unlink(missing_ok=True)

    def keys(self) -> list[str]:
        """Return what events are kept of."""
        if not self.directory.is_dir():
            return []
        return sorted(path.stem for path in self.directory.glob('*.jsonl'))

    def _path(self, key: str) -> pathlib.Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f'{key!r} is no name of a node or MAC')
        return self.directory / f'{key}.jsonl'

    def _shorten(self, path: pathlib.Path) -> None:
        # Half as much again may gather before the file is written anew, so
        # that not each event costs a copy.
        if path.stat().st_size < self.limit * 60:
            return
        lines = path.read_text(errors='replace').splitlines(keepends=True)
        if len(lines) <= self.limit * 3 // 2:
            return
        whole_file.write(path, ''.join(lines[-self.limit :]), mode=0o640)
