# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import time

import fixtures
from oslotest import base

from zsbm_ironic.common import exception
from zsbm_ironic.netboot import status, timeline

MAC = '52:54:00:aa:00:01'


class TestStatus(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.reporter = status.Reporter(self.directory, 50)
        self.status = status.Status(self.directory)

    def test_a_heartbeat_and_back(self):
        server = status.ForeignServer('192.0.2.1', MAC, '192.0.2.9', 1.0)
        sent = status.new_heartbeat(
            generation=7,
            records=2,
            rejected={MAC: 'why'},
            problems=('one',),
            foreign_servers=(server,),
        )
        self.reporter.beat(sent)
        self.assertEqual(sent, self.status.heartbeat())
        self.assertEqual(sent, self.status.check_alive('here', 10))
        mode = os.stat(self.directory / 'service.json').st_mode
        self.assertEqual(0o640, mode & 0o777)

    def test_no_heartbeat_is_an_error_with_the_remedy(self):
        exc = self.assertRaises(
            exception.NetbootServiceDown, self.status.check_alive, 'here', 10
        )
        self.assertIn('systemctl start zsbm-netboot', str(exc))
        self.assertIn('here', str(exc))

    def test_an_old_heartbeat_is_an_error_that_says_how_old(self):
        self.reporter.beat(
            status.Heartbeat(time=time.time() - 42, pid=os.getpid())
        )
        exc = self.assertRaises(
            exception.NetbootServiceDown, self.status.check_alive, 'here', 10
        )
        self.assertIn('42 s ago', str(exc))

    def test_a_broken_heartbeat_is_none(self):
        for text in ('', '{', '[]', '{"time": 1}', 'null'):
            (self.directory / 'service.json').write_text(text)
            self.assertIsNone(self.status.heartbeat())

    def test_events_of_a_mac_until_it_is_forgotten(self):
        self.reporter.event(timeline.Event(1.0, 'dhcp', 'dhcp-offer', MAC))
        self.assertEqual(1, len(self.status.events(MAC.upper())))
        self.assertEqual({MAC}, self.reporter.known())
        self.reporter.forget({MAC})
        self.assertEqual([], self.status.events(MAC))

    def test_leases_of_machines_that_are_gone_are_dropped(self):
        path = self.directory / status.LEASES
        path.write_text(
            f'1 {MAC} 198.51.100.50 * *\n'
            f'1 {MAC} 198.51.100.51 * *\n'
            '1 52:54:00:aa:00:02 198.51.100.52 * *\n'
            'duid 00:01\n'
        )
        status.prune_leases(path, {MAC: ('198.51.100.50',)})
        self.assertEqual({'198.51.100.50': MAC}, self.status.leases())
        self.assertIn('duid', path.read_text())
