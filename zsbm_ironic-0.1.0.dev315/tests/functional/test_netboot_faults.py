# SPDX-License-Identifier: Apache-2.0
"""zsbm-netboot when something is wrong: programs, ports, records, servers."""

import os
import pathlib
import signal
import socket
import struct
import time

from tests.functional import dhcp_client, netboot_bench
from tests.functional.netboot_case import (
    MAC,
    OTHER,
    SCRIPT,
    STRANGER,
    TestCase,
)
from zsbm_ironic.common import exception
from zsbm_ironic.netboot import desired


class TestProcesses(TestCase):
    def test_it_has_its_user_and_three_capabilities_alone(self):
        wanted = 1 << 10 | 1 << 12 | 1 << 13  # linux/capability.h
        pids = [*self.bench.children().values(), self.bench.service.pid]
        self.assertEqual(4, len(pids))
        for pid in pids:
            facts = dict(
                line.split(':\t', 1)
                for line in pathlib.Path(f'/proc/{pid}/status')
                .read_text()
                .splitlines()
                if ':\t' in line
            )
            self.assertEqual(['64102'] * 4, facts['Uid'].split())
            for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
                self.assertEqual(wanted, int(facts[kind], 16), kind)
            self.assertEqual('1', facts['NoNewPrivs'])

    def test_a_child_that_is_killed_is_started_again(self):
        self.bench.serve(MAC, script=SCRIPT)
        for name in ('dhcp', 'tftp', 'http'):
            pid = self.bench.child_pid(name)
            os.kill(pid, signal.SIGKILL)
            netboot_bench.wait_for(
                lambda name=name, pid=pid: (
                    self.bench.child_pid(name) not in (None, pid)
                )
            )
        answer = netboot_bench.wait_for(self.client().lease)
        self.assertEqual('198.51.100.50', answer.offered)

    def test_no_child_outlives_a_service_that_is_killed(self):
        group = self.bench.descendants()
        self.assertGreater(len(group), 3)
        self.bench.stop(signal.SIGKILL)
        netboot_bench.wait_for(
            lambda: not [pid for pid in group if netboot_bench.alive(pid)]
        )
        self.bench.start()

    def test_it_ends_cleanly(self):
        group = self.bench.descendants()
        self.assertEqual(0, self.bench.stop())
        self.assertEqual(
            [], [pid for pid in group if netboot_bench.alive(pid)]
        )

    def test_a_port_that_another_program_has_is_named(self):
        self.bench.stop()
        other = dhcp_client.socket_in(
            self.bench.server, socket.AF_INET, socket.SOCK_STREAM
        )
        other.bind(('198.51.100.1', 8080))
        other.listen()
        self.addCleanup(other.close)
        self.bench.start()
        (failure,) = netboot_bench.wait_for(
            lambda: self.bench.status.heartbeat().failures
        )
        self.assertIn('198.51.100.1:8080', failure)
        self.assertIn('Address already in use', failure)
        exc = self.assertRaises(
            exception.NetbootServiceFailing,
            self.bench.status.check_alive,
            'here',
            10,
        )
        self.assertIn(failure, str(exc))
        other.close()
        netboot_bench.wait_for(
            lambda: not self.bench.status.heartbeat().failures, 60
        )
        self.bench.status.check_alive('here', 10)

    def test_it_goes_on_without_its_folders(self):
        self.bench.serve(MAC)
        for name in ('desired', 'status'):
            folder = self.bench.root / name
            folder.rename(self.bench.root / f'{name}.gone')
        time.sleep(2)
        self.assertEqual('198.51.100.50', self.client().lease().offered)
        for name in ('desired', 'status'):
            folder = self.bench.root / f'{name}.gone'
            folder.rename(self.bench.root / name)
        self.bench.serve(MAC, addresses=('198.51.100.51',))

    def test_a_wrong_setting_is_named(self):
        self.bench.stop()
        text = self.bench.config.read_text()
        self.bench.config.write_text(
            text.replace('range:198.51.100.50', 'range:198.51.100.250')
        )
        self.assertRaises(AssertionError, self.bench.start)
        self.assertIn('ends before it begins', self.bench.log.read_text())


class TestNoSubnets(TestCase):
    subnets = ()

    def test_tftp_and_http_are_served_and_dhcp_is_not(self):
        netboot_bench.wait_for(lambda: len(self.bench.children()) == 2)
        self.assertEqual({'tftp', 'http'}, set(self.bench.children()))
        self.assertIsNone(self.client().discover(1))


class TestHostileRecords(TestCase):
    def test_a_bad_record_is_named_and_the_others_are_served(self):
        path = self.bench.desired.path(OTHER)
        path.write_text('{"mac": "52:54:00:aa:00:02\\ndhcp-option=6,1.2.3.4"}')
        self.bench.serve(MAC)
        self.assertEqual('198.51.100.50', self.client().lease().offered)
        rejected = self.bench.status.heartbeat().rejected
        self.assertEqual([OTHER], list(rejected))
        self.assertIsNone(self.client(OTHER).discover(1))

    def test_a_link_or_pipe_instead_of_a_record_is_not_followed(self):
        record = self.bench.desired.write(
            desired.Record(OTHER, netboot_bench.NODE, netboot_bench.PORT)
        )
        elsewhere = self.bench.root / 'elsewhere.json'
        self.bench.desired.path(record.mac).rename(elsewhere)
        self.bench.desired.path(record.mac).symlink_to(elsewhere)
        os.mkfifo(self.bench.desired.path(STRANGER))
        self.bench.serve(MAC)
        rejected = self.bench.status.heartbeat().rejected
        self.assertEqual({OTHER, STRANGER}, set(rejected))


class TestNeighbours(TestCase):
    extra = 'known_dhcp_servers = 198.51.100.67'

    def another_server(self, address):
        other = self.bench.namespace(self.bench.machines + '-o')
        self.bench.plug(other, 'eth0')
        self.has(other, f'{address}/24')
        self.bench.run_in(
            other,
            *('dnsmasq', '-k', '-p', '0', '-C', '/dev/null', '-u', 'root'),
            *('-i', 'eth0', '-F', '198.51.100.200,198.51.100.210'),
            *('-l', str(self.bench.root / 'other.leases')),
            '--pid-file=',
        )
        return self.bench.mac_of(other)

    def servers(self):
        return self.bench.status.heartbeat().foreign_servers

    def test_another_dhcp_server_is_found_and_named(self):
        mac = self.another_server('198.51.100.66')
        found = netboot_bench.wait_for(self.servers)
        self.assertEqual(['198.51.100.66'], [one.address for one in found])
        self.assertEqual(mac, found[0].mac)

    def test_a_server_that_belongs_here_is_not_named(self):
        self.another_server('198.51.100.67')
        time.sleep(4)
        self.assertEqual((), self.servers())

    def test_alone_on_the_wire_nobody_is_named(self):
        self.bench.serve(MAC)
        self.client().lease()
        time.sleep(2.5)
        self.assertEqual((), self.servers())

    def test_a_router_solicitation_is_answered_with_no_router(self):
        index = int(
            self.bench.inside(
                self.bench.machines, 'cat', '/sys/class/net/eth0/ifindex'
            ).stdout
        )
        asking = dhcp_client.socket_in(
            self.bench.machines,
            socket.AF_INET6,
            socket.SOCK_RAW,
            socket.IPPROTO_ICMPV6,
        )
        self.addCleanup(asking.close)
        asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        asking.setsockopt(
            socket.IPPROTO_IPV6,
            socket.IPV6_MULTICAST_IF,
            struct.pack('@i', index),
        )
        asking.settimeout(1)

        def advertised():
            try:
                asking.sendto(b'\x85\0\0\0\0\0\0\0', ('ff02::2', 0, 0, index))
                raw = asking.recv(256)
            except OSError:
                return None
            return raw if raw[0] == 134 else None

        raw = netboot_bench.wait_for(advertised)
        flags, lifetime = struct.unpack('!BH', raw[5:8])
        self.assertEqual((0, 0), (flags, lifetime))
