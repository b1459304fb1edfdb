# SPDX-License-Identifier: Apache-2.0
"""The command as the real client runs it, against an HTTP server of ours."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

import fixtures
from oslotest import base

from zsbm_ironic.common import process
from zsbm_ironic.osc import node

START = 1_900_000_000.0
OPENSTACK = pathlib.Path(sys.executable).with_name('openstack')


def event(second, source='dhcp', name='dhcp-ack', **more):
    return {
        'timestamp': START + second,
        'source': source,
        'name': name,
        'mac': '52:54:00:00:00:01',
        'detail': '',
        **more,
    }


class IronicApi(fixtures.Fixture):
    """Answers one vendor passthru call as ironic's API does."""

    def __init__(self):
        self.events = []
        self.paths = []

    def _setUp(self):
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                api.paths.append(self.path)
                known = 'boot_timeline' in self.path
                body = {'events': api.events} if known else {'version': {}}
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header('Content-Type', 'application/json')
                for name, value in (
                    ('Version', '1.80'),
                    ('Minimum-Version', '1.1'),
                    ('Maximum-Version', '1.80'),
                ):
                    self.send_header(f'X-OpenStack-Ironic-API-{name}', value)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.env = {
            'OS_AUTH_TYPE': 'none',
            'OS_ENDPOINT': f'http://127.0.0.1:{server.server_port}',
        }


class BootTimelineCommand(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.api = self.useFixture(IronicApi())

    def _command(self, *words):
        return [
            str(OPENSTACK),
            *('baremetal', 'node', 'boot', 'timeline', 'web-3'),
            *words,
        ]

    def test_json_has_a_row_an_event(self):
        self.api.events = [event(0), event(2.5, 'tftp', 'loader')]
        done = process.run(
            self._command('-f', 'json'), timeout_s=60, env=self.api.env
        )
        first, second = json.loads(done.stdout)
        self.assertEqual('2030-03-17 17:46:40.0', first['Time (UTC)'])
        self.assertEqual(2.5, second['Elapsed (s)'])
        self.assertEqual(
            ('tftp', 'loader'), (second['Source'], second['Event'])
        )
        self.assertIn(
            '/v1/nodes/web-3/vendor_passthru/boot_timeline', self.api.paths[-1]
        )

    def test_follow_prints_what_comes_later(self):
        self.api.events = [event(0)]
        child = subprocess.Popen(
            self._command('--follow', '-f', 'json'),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.api.env},
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertIn('dhcp-ack', child.stdout.readline())
        self.api.events.append(event(4, 'agent', 'up'))
        later = json.loads(child.stdout.readline())
        self.assertEqual(('agent', 4.0), (later['Source'], later['Gap (s)']))


class Rows(base.BaseTestCase):
    def test_half_an_hour_of_silence_starts_a_new_run(self):
        moments = (0, 100, 100 + node.NEW_RUN_GAP_S + 1)
        elapsed = [row[1] for row in node.rows(event(m) for m in moments)]
        self.assertEqual([0.0, 100.0, 0.0], elapsed)

    def test_an_event_that_comes_late_has_no_gap(self):
        gaps = [row[2] for row in node.rows(event(m) for m in (0, 10, 9))]
        self.assertEqual([0.0, 10.0, 0.0], gaps)

    def test_line_for_a_terminal(self):
        (row,) = node.rows([event(0, detail='198.51.100.50')])
        self.assertEqual(
            '2030-03-17 17:46:40.0       0.0     +0.0  dhcp       '
            'dhcp-ack            52:54:00:00:00:01  198.51.100.50',
            node.as_line(row),
        )
