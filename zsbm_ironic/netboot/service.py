# SPDX-License-Identifier: Apache-2.0
"""`zsbm-netboot`: serves DHCP, TFTP and HTTP as the conductor wants.

Runs as a user of its own with CAP_NET_BIND_SERVICE, CAP_NET_RAW and
CAP_NET_ADMIN and needs no other right. Renders the configuration of dnsmasq
and nginx, keeps both running, starts DHCP anew when the desired state changes,
and writes the status directory. The programs end with it; leases, events and
desired state stay.
"""

import logging
import os
import pathlib
import queue
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from oslo_config import cfg
from oslo_log import log as oslo_logging

from zsbm_ironic import conf as zsbm_conf
from zsbm_ironic.common import exception, whole_file
from zsbm_ironic.netboot import (
    desired,
    dnsmasq,
    logs,
    neighbours,
    nginx,
    settings,
    status,
    supervisor,
    timeline,
)

LOG = logging.getLogger(__name__)

TICK_S = 0.2
HEARTBEAT_S = 1.0
# Changes that come together are applied together, and DHCP is not started
# anew more often than that: a client that asks meanwhile asks again.
SETTLE_S = 0.2
PAUSE_S = 1.0
# Two changes within one tick of the kernel's clock give a directory the same
# time; so long after a change it is looked at once more.
CLOCK_TICK_S = 0.05
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Service:
    """The running service: desired state in, two programs and status out.

    :raises OSError: a directory of the settings cannot be used.
    """

    def __init__(self, own: settings.Settings) -> None:
        self._own = own
        self._desired = desired.DesiredState(own.desired_dir)
        self._reporter = status.Reporter(own.status_dir, own.events)
        self._lines: queue.SimpleQueue[tuple[str, str, float]] = (
            queue.SimpleQueue()
        )
        self._dnsmasq_log = logs.DnsmasqLog(self._mac_of)
        self._generation = -1
        self._records: dict[str, desired.Record] = {}
        self._rejected: dict[str, str] = {}
        self._macs: dict[str, str] = {}
        self._next_beat = 0.0
        self._complaint = ''
        self._alone = False
        self._stopping = False
        self._next_apply = 0.0
        self._dhcp = self._dnsmasq_child('dhcp', dnsmasq.CONFIGURATION)
        self._tftp = self._dnsmasq_child('tftp', dnsmasq.TFTP_CONFIGURATION)
        self._http = self._child(
            'http',
            own.nginx,
            *('-p', str(own.run_dir), '-e', 'stderr'),
            *('-c', str(own.run_dir / nginx.CONFIGURATION)),
        )
        # Without a subnet somebody else (Neutron) answers DHCP.
        self._children: tuple[supervisor.Child, ...] = (
            self._tftp,
            self._http,
        )
        if own.subnets:
            self._children = (self._dhcp, *self._children)
        self._neighbours = neighbours.Neighbours(own)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; both programs have ended then."""
        for number in SIGNALS:
            signal.signal(number, self._stop)
        self._prepare()
        try:
            while not self._stopping:
                self._tick()
                time.sleep(TICK_S)
        finally:
            self._neighbours.close()
            for child in self._children:
                child.stop()
            self._drain()

    def _child(
        self, name: str, program: pathlib.Path, *arguments: str
    ) -> supervisor.Child:
        return supervisor.Child(
            name,
            [str(program), *arguments],
            lambda line, now: self._lines.put((name, line, now)),
        )

    def _dnsmasq_child(self, name: str, file: str) -> supervisor.Child:
        path = self._own.run_dir / file
        return self._child(name, self._own.dnsmasq, f'--conf-file={path}')

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping = True

    def _prepare(self) -> None:
        own = self._own
        own.run_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        for name in nginx.TEMPORARY:
            directory = nginx.temporary_directory(own, name)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        own.status_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        own.lease_file.touch(mode=0o640)
        self._render(dnsmasq.CONFIGURATION, dnsmasq.configuration(own))
        self._render(
            dnsmasq.TFTP_CONFIGURATION, dnsmasq.tftp_configuration(own)
        )
        self._render(nginx.CONFIGURATION, nginx.configuration(own))
        if own.subnets:
            self._load()
            self._prune()

    def _render(self, name: str, text: str) -> bool:
        target = self._own.run_dir / name
        if target.exists() and target.read_text() == text:
            return False
        whole_file.write(target, text, mode=0o644)
        return True

    def _tick(self) -> None:
        self._follow()
        for child in self._children:
            child.look_after()
        self._drain()
        self._neighbours.tick()
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT_S
            self._beat()

    def _follow(self) -> None:
        now = time.monotonic()
        if now < self._next_apply or not self._own.subnets:
            return
        try:
            if (
                self._desired.generation() == self._generation
                and self._is_alone() == self._alone
            ):
                return
            time.sleep(SETTLE_S)
            changed = self._load()
        except OSError as exc:
            self._complain(f'Desired state cannot be read: {exc}.')
            return
        self._complaint = ''
        if changed:
            self._next_apply = now + PAUSE_S
            self._dhcp.restart()
            self._prune()

    def _is_alone(self) -> bool:
        """Say whether the conductor is silent: then nothing is to boot.

        Another one may have its nodes by now, and serve their boots.
        """
        timeout_s = self._own.conductor_timeout_s
        return 0 < timeout_s < self._desired.silence_s()

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            LOG.error('What was served last is served on. %s', complaint)
        self._complaint = complaint

    def _load(self) -> bool:
        generation = self._desired.generation()
        self._alone = self._is_alone()
        found, rejected = self._desired.load()
        records = desired.settled(found)
        if self._alone:
            records = {mac: one.without_boot() for mac, one in records.items()}
        for mac, reason in rejected.items():
            if self._rejected.get(mac) != reason:
                LOG.error('Not served: %s', reason)
        changed = self._render(dnsmasq.HOSTS, dnsmasq.hosts(records.values()))
        changed |= self._render(
            dnsmasq.OPTIONS, dnsmasq.options(records.values())
        )
        self._records, self._rejected = records, rejected
        self._reporter.forget(self._reporter.known() - set(records))
        fresh = time.time() - generation / 1e9 < CLOCK_TICK_S
        self._generation = -1 if fresh else generation
        return changed

    def _prune(self) -> None:
        wanted = {mac: one.addresses for mac, one in self._records.items()}
        status.prune_leases(self._own.lease_file, wanted)

    def _mac_of(self, address: str) -> str:
        return self._macs.get(address, '')

    def _drain(self) -> None:
        self._macs = {
            address: record.mac
            for record in self._records.values()
            for address in record.addresses
        }
        while not self._lines.empty():
            name, line, now = self._lines.get()
            event = self._event(name, line, now)
            if event is None:
                LOG.debug('%s: %s', name, line)
                continue
            LOG.info('%s %s %s', event.name, event.mac or '-', event.detail)
            # Strangers are logged, but nothing is stored for them.
            if event.mac in self._records:
                self._reporter.event(event)

    def _event(
        self, name: str, line: str, now: float
    ) -> timeline.Event | None:
        if name == 'http':
            return logs.nginx_event(line, now, self._mac_of)
        return self._dnsmasq_log.read(line, now)

    def _beat(self) -> None:
        problems = [child.problem for child in self._children if child.problem]
        failures = [child.problem for child in self._children if child.failing]
        if self._complaint:
            problems.append(self._complaint)
        if self._alone:
            problems.append(
                'The conductor has given no sign of life for '
                f'{self._desired.silence_s():.0f} s: machines get their '
                'address and nothing to boot. Start ironic-conductor.'
            )
        beat = status.new_heartbeat(
            generation=self._generation,
            records=len(self._records),
            rejected=self._rejected,
            problems=(*problems, *self._neighbours.problems),
            failures=tuple(failures),
            foreign_servers=self._neighbours.foreign_servers,
        )
        try:
            self._reporter.beat(beat)
        except OSError as exc:
            # A full disk must not end what machines boot from.
            LOG.error('The conductor cannot be told that this runs: %s', exc)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service; what `zsbm-netboot` calls.

    :returns: exit status: 0 after SIGTERM, 1 where a setting is wrong.
    """
    configuration = zsbm_conf.CONF
    oslo_logging.register_options(configuration)
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        configuration(arguments, project='ironic', prog='zsbm-netboot')
        oslo_logging.setup(configuration, 'zsbm-netboot')
        os.umask(0o027)
        Service(settings.from_conf(configuration)).run()
    except (cfg.Error, exception.ZsbmError, OSError) as exc:
        print(f'zsbm-netboot: {exc}', file=sys.stderr)
        return 1
    return 0
