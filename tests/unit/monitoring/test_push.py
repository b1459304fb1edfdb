# SPDX-License-Identifier: Apache-2.0
"""What servers push: over real sockets, and mostly with bad intent."""

import contextlib
import http.client
import secrets
import socket
import threading
import time

import fixtures
import testtools
from prometheus_client import parser

from zsbm_ironic.monitoring import exception, exposition, push, serving

GOOD = (
    b'# HELP node_load1 1m load average.\n'
    b'# TYPE node_load1 gauge\n'
    b'node_load1 0.21\n'
    b'node_filesystem_avail_bytes{device="/dev/sda1",mountpoint="/"} 3e+09\n'
    b'smartmon_device_smart_healthy{disk="/dev/sda"} 1\n'
    b'go_goroutines 8\n'
    b'process_open_fds 9\n'
)
KEPT = 3


def taken(text, limit=10):
    return exposition.take(
        text if isinstance(text, bytes) else text.encode(), limit
    )


class ExpositionTest(testtools.TestCase):
    def test_what_an_exporter_serves(self):
        found = taken(GOOD)
        self.assertEqual((KEPT, 2), (found.series, found.left_out))
        names = [
            one.name
            for family in parser.text_string_to_metric_families(found.text)
            for one in family.samples
        ]
        self.assertEqual(KEPT, len(names))

    def test_other_names_are_left_out(self):
        for name in ('baremetal_maintenance', 'up', 'ALERTS', 'xnode_load1'):
            self.assertEqual('', taken(f'{name} 1\n').text, name)

    def test_what_is_no_number_is_left_out(self):
        for value in ('NaN', 'Inf', '+Inf', '-Inf', '1e999'):
            self.assertEqual('', taken(f'node_load1 {value}\n').text, value)

    def test_lines_that_are_none(self):
        for line in (
            'node_load1',
            'node_load1 1 1700000000000',
            'node_load1 1 # {a="b"} 1',
            'node_load1 0x10',
            'node_load1 1_0',
            'node_load1 infinity',
            'node_load1 nan',
            'node_load1 \u0661',
            'node_load1{ 1',
            'node_load1{a=b} 1',
            'node_load1{a="b} 1',
            'node_load1{a="b""} 1',
            'node_load1{a="\\x"} 1',
            'node_load1{a="b"c="d"} 1',
            'node_load1{a="b"} {c="d"} 1',
            'node_load1\u00e9 1',
            'node_load1 1\r',
            ' node_load1 1',
            'node_load1{a="' + 'x' * 5000 + '"} 1',
            'node_load1{a="1",a="2"} 1',
            'node_load1{'
            + ','.join(f'l{number}="1"' for number in range(17))
            + '} 1',
        ):
            self.assertRaises(exception.PushRefused, taken, f'{line}\n')
        self.assertRaises(exception.PushRefused, taken, b'node_load1 1\n\xff')

    def test_labels_that_are_not_its_own(self):
        for name in (*exposition.RESERVED, '__name__', '__address__'):
            error = self.assertRaises(
                exception.PushRefused,
                taken,
                f'node_load1 1\nnode_load5{{{name}="x"}} 1\n',
            )
            self.assertIn('line 2', str(error))

    def test_labels_that_nobody_can_read_are_left_out(self):
        for value in ('x' * 513, 'a\x1b[2J', '\u202eabc'):
            self.assertEqual('', taken(f'node_load1{{a="{value}"}} 1').text)

    def test_the_same_series_twice(self):
        self.assertRaises(
            exception.PushRefused,
            taken,
            'node_x{a="1",b="2"} 1\nnode_x{b="2",a="1"} 2\n',
        )

    def test_too_many_series(self):
        lines = ''.join(f'node_x{{a="{number}"}} 1\n' for number in range(11))
        error = self.assertRaises(exception.PushRefused, taken, lines)
        self.assertIn('more than 10 series', str(error))
        self.assertEqual(11, taken(lines, 11).series)

    def test_lines_made_to_be_slow(self):
        """Each is matched in a time that grows with its length alone."""
        for line in (
            'node_x{' + 'a="b",' * 600,
            'node_x{a="' + '\\\\' * 2000,
            'node_x' + '{' * 4000,
            'node_x{a="b"}' + ' ' * 4000 + '\x00',
            'node_' + 'x' * 4000,
        ):
            began = time.process_time()
            with contextlib.suppress(exception.PushRefused):
                taken((line[:4090] + '\n') * 50, 100)
            self.assertLess(time.process_time() - began, 2, line[:20])


class PushCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.token = secrets.token_urlsafe(32)
        self.receiver = push.Receiver()
        self.receiver.allow(
            {'u1': push.digest(self.token), 'u2': push.digest('x' * 43)}
        )
        self.listener = push.PushListener('127.0.0.1:0', self.receiver)
        self.addCleanup(self.listener.close)

    def connect(self):
        connection = socket.create_connection(
            ('127.0.0.1', self.listener.port), 30
        )
        self.addCleanup(connection.close)
        return connection

    def push(self, body=GOOD, node='u1', method='POST', **headers):
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.listener.port, timeout=30
        )
        self.addCleanup(connection.close)
        said = {'Authorization': f'Bearer {self.token}', **headers}
        connection.request(
            method,
            f'/v1/push/{node}',
            body,
            {key.replace('_', '-'): value for key, value in said.items()},
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def patient(self):
        self.useFixture(
            fixtures.MonkeyPatch('zsbm_ironic.monitoring.push.PAUSE_S', 0.0)
        )


class PushTest(PushCase):
    def test_what_is_pushed_can_be_scraped(self):
        self.assertEqual(204, self.push())
        text = self.receiver.recent('u1').decode()
        self.assertIn('node_load1 0.21\n', text)
        self.assertNotIn('go_', text)
        self.assertEqual(1, self.receiver.counts()['accepted'])

    def test_the_next_replaces_it(self):
        self.patient()
        self.push()
        self.assertEqual(204, self.push(b'node_load1 7\n', method='PUT'))
        self.assertEqual(b'node_load1 7\n', self.receiver.recent('u1'))

    def test_old_figures_are_none(self):
        self.push()
        self.useFixture(
            fixtures.MonkeyPatch('zsbm_ironic.monitoring.push.FRESH_S', 0.0)
        )
        self.assertIsNone(self.receiver.recent('u1'))

    def test_no_token_no_answer(self):
        """None tells a wrong token from a node that is not there."""
        for node, token in (
            ('u1', f'Bearer {"y" * 43}'),
            ('u1', 'Bearer '),
            ('u1', f'Basic {self.token}'),
            ('u1', self.token),
            ('u1', f'Bearer {push.digest(self.token)}'),
            ('u2', f'Bearer {self.token}'),
            ('nobody', f'Bearer {self.token}'),
            ('', f'Bearer {self.token}'),
            ('u1/../u1', f'Bearer {self.token}'),
        ):
            self.assertEqual(
                401, self.push(node=node, Authorization=token), (node, token)
            )
        self.assertIsNone(self.receiver.recent('u1'))
        self.assertIsNone(self.receiver.recent('u2'))
        self.assertEqual(9, self.receiver.counts()['unauthorized'])

    def test_a_server_that_is_gone(self):
        self.push()
        self.receiver.allow({})
        self.assertIsNone(self.receiver.recent('u1'))
        self.assertEqual(401, self.push())

    def test_a_body_of_nobody_is_not_read(self):
        connection = self.connect()
        connection.sendall(
            b'POST /v1/push/u1 HTTP/1.1\r\nHost: x\r\n'
            b'Authorization: Bearer ' + b'z' * 43 + b'\r\n'
            b'Content-Length: 100\r\n\r\n'
        )
        self.assertIn(b' 401 ', connection.recv(100))

    def test_too_much(self):
        self.assertEqual(413, self.push(bytes(push.BODY_BYTES + 1)))
        self.assertEqual(413, self.push(b'', Content_Length=str(999_999_999)))
        self.assertEqual(2, self.receiver.counts()['too_large'])

    def test_lengths_that_are_none(self):
        for length in ('-1', '1e3', '99999999999', 'x', '+7', ' '):
            self.assertEqual(
                411, self.push(b'', Content_Length=length), length
            )

    def test_packed_or_in_pieces(self):
        self.assertEqual(415, self.push(Content_Encoding='gzip'))
        self.assertEqual(411, self.push(iter([GOOD])))

    def test_a_bad_one_leaves_the_last(self):
        self.patient()
        self.push()
        for body in (b'\xff', b'node_load1 x\n', b'', b'node_x{job="a"} 1\n'):
            self.push(body)
        self.assertEqual(1 + 1, self.receiver.counts()['accepted'])
        self.push(GOOD)
        self.push(b'node_load1{instance="a"} 1\n')
        self.assertIn(b'node_load1 0.21', self.receiver.recent('u1'))

    def test_too_many_series(self):
        many = ''.join(
            f'node_x{{a="{number}"}} 1\n' for number in range(push.SERIES + 1)
        )
        self.assertEqual(400, self.push(many.encode()))
        self.assertIsNone(self.receiver.recent('u1'))

    def test_too_often(self):
        self.push()
        self.assertEqual(429, self.push())
        self.assertEqual(1, self.receiver.counts()['too_often'])

    def test_other_requests(self):
        self.assertEqual(405, self.push(method='GET', body=None))
        connection = self.connect()
        connection.sendall(b'GET / HTTP/1.0\r\n\r\n')
        self.assertIn(b' 404 ', connection.recv(100))

    def test_the_digest_is_all_that_is_kept(self):
        self.assertNotIn(self.token, str(vars(self.receiver)))


class SlowTest(PushCase):
    """Clients that hold a connection, and many of them."""

    def setUp(self):
        super().setUp()
        self.deadline(1.0)

    def deadline(self, seconds):
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.monitoring.serving.REQUEST_TIMEOUT_S', seconds
            )
        )

    def head(self):
        return (
            b'POST /v1/push/u1 HTTP/1.1\r\nHost: x\r\n'
            b'Authorization: Bearer ' + self.token.encode() + b'\r\n'
            b'Content-Length: 60000\r\n\r\n'
        )

    def drip(self, connection):
        """Send a byte now and then; return how long that went well."""
        began = time.monotonic()
        connection.settimeout(0.2)
        while time.monotonic() - began < 10:
            try:
                connection.sendall(b'n')
                answer = connection.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                answer = b''
            return time.monotonic() - began, answer
        return time.monotonic() - began, b''

    def test_a_body_byte_by_byte(self):
        connection = self.connect()
        connection.sendall(self.head())
        seconds, answer = self.drip(connection)
        self.assertLess(seconds, 4)
        self.assertIn(b' 408 ', answer)
        self.assertEqual(1, self.receiver.counts()['too_slow'])

    def test_a_head_byte_by_byte(self):
        seconds, _answer = self.drip(self.connect())
        self.assertLess(seconds, 4)

    def test_a_body_that_ends_too_early(self):
        connection = self.connect()
        connection.sendall(self.head() + b'node_load1 1\n')
        connection.shutdown(socket.SHUT_WR)
        self.assertIn(b' 400 ', connection.recv(1000))
        self.assertIsNone(self.receiver.recent('u1'))

    def test_more_at_once_than_are_served(self):
        self.deadline(5.0)
        before = threading.active_count()
        held = [self.connect() for _ in range(serving.SLOTS + 8)]
        deadline = time.monotonic() + 30
        refused = 0
        for connection in held[serving.SLOTS :]:
            connection.settimeout(10)
            refused += b' 503 ' in connection.recv(1000)
        self.assertEqual(8, refused)
        self.assertLessEqual(threading.active_count() - before, serving.SLOTS)
        # Those that say nothing are sent away, and others get in.
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.push() == 204:
                    return
            time.sleep(0.1)
        self.fail('nobody gets in any more')
