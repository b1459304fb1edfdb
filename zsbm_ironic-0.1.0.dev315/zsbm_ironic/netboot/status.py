# SPDX-License-Identifier: Apache-2.0
"""What the service tells the conductor: a directory that it alone writes.

`Reporter` is the service's side, `Status` the conductor's. `service.json` is
the heartbeat; `events/` holds the events of each MAC; `dnsmasq.leases` is
dnsmasq's own file. Files are replaced by rename, and 0640: the conductor is
in their group.
"""

import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Container, Mapping
from typing import Any

from zsbm_ironic.common import exception, whole_file
from zsbm_ironic.netboot import timeline

HEARTBEAT = 'service.json'
EVENTS = 'events'
LEASES = 'dnsmasq.leases'


@dataclasses.dataclass(frozen=True)
class ForeignServer:
    """A DHCP server that answered though it is none of ours.

    :ivar seen: seconds since the epoch, when it last answered.
    """

    address: str
    mac: str
    offered: str
    seen: float

    def __str__(self) -> str:
        return f'{self.address} (MAC {self.mac})'


@dataclasses.dataclass(frozen=True)
class Heartbeat:
    """What the service is doing.

    :ivar generation: desired state that dnsmasq has been told of
        (`DesiredState.generation`).
    :ivar rejected: why records are not served, by MAC.
    :ivar problems: what a person should know, in sentences.
    :ivar failures: why DHCP, TFTP or HTTP is not served now, in sentences.
    """

    time: float
    pid: int
    generation: int = 0
    records: int = 0
    rejected: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    foreign_servers: tuple[ForeignServer, ...] = ()


class Reporter:
    """The service's side: writes the directory.

    :param limit: how many events are kept of each MAC.
    """

    def __init__(self, directory: pathlib.Path, limit: int) -> None:
        self._directory = directory
        self._events = timeline.Timeline(directory / EVENTS, limit)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the heartbeat."""
        whole_file.write(
            self._directory / HEARTBEAT,
            json.dumps(dataclasses.asdict(heartbeat)),
            mode=0o640,
        )

    def event(self, event: timeline.Event) -> None:
        """Keep an event of the MAC that it names."""
        self._events.append(event.mac.replace(':', '-'), event)

    def forget(self, macs: set[str]) -> None:
        """Drop the events of MACs that have no record any more."""
        for mac in macs:
            self._events.remove(mac.replace(':', '-'))

    def known(self) -> set[str]:
        """Return the MACs of which events are kept."""
        return {key.replace('-', ':') for key in self._events.keys()}


class Status:
    """The conductor's side: reads the directory."""

    def __init__(self, directory: pathlib.Path | str) -> None:
        self._directory = pathlib.Path(directory)

    def heartbeat(self) -> Heartbeat | None:
        """Return the last heartbeat, however old; None if there is none."""
        try:
            text = (self._directory / HEARTBEAT).read_text()
            return _parse(json.loads(text))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def check_alive(self, conductor: str, timeout_s: float) -> Heartbeat:
        """Return the heartbeat of a service that runs and serves.

        :param conductor: name of this conductor, for the error.
        :raises NetbootServiceDown: none, or none within timeout_s.
        :raises NetbootServiceFailing: one of its programs does not run.
        """
        heartbeat = self.heartbeat()
        path = self._directory / HEARTBEAT
        if heartbeat is None:
            evidence = f'no heartbeat to be read in {path}'
        else:
            age = time.time() - heartbeat.time
            if age <= timeout_s and heartbeat.failures:
                raise exception.NetbootServiceFailing(
                    conductor=conductor, failures=' '.join(heartbeat.failures)
                )
            if age <= timeout_s:
                return heartbeat
            evidence = f'last heartbeat in {path} {age:.0f} s ago'
        raise exception.NetbootServiceDown(
            conductor=conductor, evidence=evidence
        )

    def events(self, mac: str) -> list[timeline.Event]:
        """Return the events of a MAC by time."""
        key = mac.lower().replace(':', '-')
        return timeline.Timeline(self._directory / EVENTS).read(key)

    def leases(self) -> dict[str, str]:
        """Return the MAC of each leased address."""
        return read_leases(self._directory / LEASES)


def read_leases(path: pathlib.Path) -> dict[str, str]:
    """Return the MAC of each address in dnsmasq's lease file.

    Its lines: expiry, MAC, address, host name, client id (dnsmasq(8)).
    """
    try:
        text = path.read_text(errors='replace')
    except OSError:
        return {}
    words = (line.split() for line in text.splitlines())
    return {word[2]: word[1] for word in words if len(word) >= 4}


def prune_leases(
    path: pathlib.Path, wanted: Mapping[str, Container[str]]
) -> None:
    """Drop leases of machines that are gone or have another address now.

    Only while dnsmasq does not run. It would else hold the address of a
    machine that is gone until its lease ends, and refuse it to the next.

    :param wanted: addresses by MAC.
    """
    lines = path.read_text(errors='replace').splitlines(keepends=True)
    kept = []
    for line in lines:
        words = line.split()
        if len(words) < 4 or words[2] in wanted.get(words[1], ()):
            kept.append(line)
    if kept != lines:
        path.write_text(''.join(kept))


def _parse(data: dict[str, Any]) -> Heartbeat:
    servers = tuple(ForeignServer(**item) for item in data['foreign_servers'])
    return Heartbeat(
        time=float(data['time']),
        pid=int(data['pid']),
        generation=int(data['generation']),
        records=int(data['records']),
        rejected=dict(data['rejected']),
        problems=tuple(data['problems']),
        failures=tuple(data['failures']),
        foreign_servers=servers,
    )


def new_heartbeat(**fields: Any) -> Heartbeat:
    """Return a heartbeat of this process and moment."""
    return Heartbeat(time=time.time(), pid=os.getpid(), **fields)
