# SPDX-License-Identifier: Apache-2.0
"""An Alertmanager that is silent, lies, or was just started."""

import datetime
import http.server
import json
import threading
import time

import fixtures
import testtools

from zsbm_ironic.monitoring import alertmanager, exception

UUID = '11111111-0000-4000-8000-000000000001'


def told(fingerprint='0a1b', **changes):
    """Return an alert as its API has it."""
    alert = {
        'labels': {
            'alertname': 'FanFailed',
            'node_uuid': UUID,
            'severity': 'critical',
        },
        'annotations': {'summary': 'Fan1 of web-1.', 'remedy': 'Replace it.'},
        'fingerprint': fingerprint,
        'startsAt': '2026-11-28T07:00:01.123456789Z',
        'endsAt': '2026-11-28T07:05:01.123Z',
        'status': {'state': 'active', 'silencedBy': [], 'inhibitedBy': []},
    }
    return {**alert, **changes}


class Liar(fixtures.Fixture):
    """Answers what a test gives it.

    :ivar alerts, status: bytes, or what is sent as JSON.
    """

    def _setUp(self):
        self.alerts, self.code = [], 200
        self.began(600)
        self.headers = {}
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                said = {
                    '/api/v2/alerts': liar.alerts,
                    '/api/v2/status': liar.status,
                }[self.path]
                body = said
                if not isinstance(said, bytes):
                    body = json.dumps(said).encode()
                self.send_response(liar.code)
                for name, value in liar.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{server.server_port}'
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def began(self, seconds):
        moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(
            seconds=seconds
        )
        self.status = {'uptime': moment.isoformat()}


class AskTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.liar = self.useFixture(Liar())

    def ask(self):
        return alertmanager.ask(self.liar.url)

    def test_alerts_by_node(self):
        self.liar.alerts = [
            told(),
            told('0a1c', status={'state': 'suppressed'}),
            told('0a1d', labels={'alertname': 'Watchdog'}),
        ]
        found = self.ask()
        self.assertEqual({UUID}, set(found.alerts))
        self.assertEqual({'0a1b', '0a1c'}, set(found.alerts[UUID]))
        self.assertFalse(found.alerts[UUID]['0a1c'].active)
        self.assertEqual(
            'Alert FanFailed (critical) since 2026-11-28T07:00:01Z: '
            'Fan1 of web-1. Replace it.',
            found.alerts[UUID]['0a1b'].started,
        )
        self.assertAlmostEqual(600, found.up_s, delta=60)

    def test_what_a_system_tells_keeps_out_no_hardware(self):
        labels = told()['labels']
        self.liar.alerts = [
            told(f'{number:x}', labels={**labels, 'concerns': 'system'})
            for number in range(2 * alertmanager.LIMIT_ALERTS)
        ]
        self.liar.alerts.append(
            told('fff', labels={**labels, 'concerns': 'hardware'})
        )
        found = self.ask()
        self.assertEqual(
            alertmanager.LIMIT_ALERTS + 1, len(found.alerts[UUID])
        )
        self.assertIn('fff', found.alerts[UUID])
        # One that was written down is not over because of others.
        self.assertEqual(2 * alertmanager.LIMIT_ALERTS + 1, len(found.present))
        last = f'{2 * alertmanager.LIMIT_ALERTS - 1:x}'
        known = {last: next(iter(found.alerts[UUID].values()))}
        self.assertEqual(
            [],
            alertmanager.changes(
                known, found.alerts[UUID], found.present, True
            )[1],
        )

    def test_what_is_no_alert_is_left_out(self):
        self.liar.alerts = [
            None,
            'alert',
            {},
            told(fingerprint=7),
            told(fingerprint='../x'),
            told(startsAt='yesterday'),
            told(startsAt='2026-11-28T07:00:01'),
            told(startsAt=None),
            told(labels=[]),
            told(annotations=None),
            told(status='active'),
            told(labels={'alertname': 'A b', 'node_uuid': UUID}),
            told('0a1e'),
        ]
        self.assertEqual({'0a1e'}, set(self.ask().alerts[UUID]))

    def test_texts_are_one_line_and_short(self):
        self.liar.alerts = [
            told(annotations={'summary': 'a\nb\x1b[2J\u202e' + 'x' * 9999})
        ]
        text = self.ask().alerts[UUID]['0a1b'].started
        self.assertTrue(text.isprintable())
        self.assertLess(len(text), 400)

    def test_more_alerts_than_a_node_can_have(self):
        self.liar.alerts = [told(f'{number:x}') for number in range(1000)]
        self.assertEqual(
            alertmanager.LIMIT_ALERTS, len(self.ask().alerts[UUID])
        )

    def test_answers_that_are_none(self):
        for alerts, status in (
            (b'', {}),
            (b'{', {}),
            ({}, {'uptime': '2026-11-28T07:00:01Z'}),
            ([], []),
            ([], {'uptime': 7}),
            ([], {'uptime': '2026-11-28T07:00:01'}),
            (b'[' * 200_000, {'uptime': '2026-11-28T07:00:01Z'}),
            (b'\xff', {'uptime': '2026-11-28T07:00:01Z'}),
        ):
            self.liar.alerts, self.liar.status = alerts, status
            error = self.assertRaises(exception.AlertmanagerUnusable, self.ask)
            self.assertIn(self.liar.url, str(error))

    def test_codes_and_redirects(self):
        self.liar.headers = {'Location': 'http://192.0.2.1/'}
        for code in (301, 302, 401, 404, 500, 503):
            self.liar.code = code
            self.assertRaises(exception.AlertmanagerUnusable, self.ask)

    def test_an_answer_without_end(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.monitoring.alertmanager.LIMIT_BYTES', 1000
            )
        )
        self.liar.alerts = b' ' * 2000
        self.assertRaises(exception.AlertmanagerUnusable, self.ask)

    def test_nobody_there(self):
        self.assertRaises(
            exception.AlertmanagerUnusable,
            alertmanager.ask,
            'http://127.0.0.1:1',
        )

    def test_one_that_says_nothing(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.monitoring.alertmanager.TIMEOUT_S', 0.5
            )
        )
        with http.server.HTTPServer(
            ('127.0.0.1', 0), http.server.BaseHTTPRequestHandler
        ) as silent:
            began = time.monotonic()
            self.assertRaises(
                exception.AlertmanagerUnusable,
                alertmanager.ask,
                f'http://127.0.0.1:{silent.server_port}',
            )
            self.assertLess(time.monotonic() - began, 10)


class ChangesTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.known, self.wrote = {}, []

    def look(self, *alerts, settled=True):
        """Take one look; return what history is told."""
        now = {}
        for fingerprint, active in alerts:
            now[fingerprint] = alertmanager.Alert(
                fingerprint, 'A', UUID, 'w', 's', 'r', '2026', active
            )
        # As it is kept in JSON.
        known = alertmanager.read(
            json.loads(json.dumps(alertmanager.kept(self.known)))
        )
        began, ended = alertmanager.changes(known, now, now.keys(), settled)
        self.known = {
            key: one
            for key, one in {
                **known,
                **{one.fingerprint: one for one in began},
            }.items()
            if one not in ended
        }
        return (
            [one.fingerprint for one in began],
            [one.fingerprint for one in ended],
        )

    def test_once_each(self):
        self.assertEqual((['1'], []), self.look(('1', True)))
        self.assertEqual(([], []), self.look(('1', True)))
        self.assertEqual((['2'], []), self.look(('1', True), ('2', True)))
        self.assertEqual(([], ['1']), self.look(('2', True)))
        self.assertEqual(([], []), self.look(('2', True)))

    def test_an_alertmanager_that_forgot(self):
        self.look(('1', True))
        self.assertEqual(([], []), self.look(settled=False))
        self.assertEqual(([], []), self.look(('1', True), settled=False))
        self.assertEqual(([], []), self.look(('1', True)))
        self.assertEqual(([], ['1']), self.look())

    def test_silenced_ones(self):
        self.assertEqual(([], []), self.look(('1', False)))
        self.look(('1', True))
        self.assertEqual(([], []), self.look(('1', False)))
        self.assertEqual(([], ['1']), self.look())

    def test_what_was_kept_may_be_anything(self):
        for said in (None, [], 'x', {'1': None}, {'1': {'x': 1}}, {'1': []}):
            self.assertEqual({}, alertmanager.read(said))
