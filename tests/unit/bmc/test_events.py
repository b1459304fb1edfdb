# SPDX-License-Identifier: Apache-2.0
"""BMCs that tell of events: streams that work, end, refuse, flood."""

import contextlib
import socket
import threading
import time

import fixtures
from oslotest import base as test_base

from zsbm_ironic.bmc import base, events, pool, redfish, watch
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.lab.emulator import fixtures as emulated

On, Off = base.PowerState.ON, base.PowerState.OFF
HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'


def read(bmc, style='bmc'):
    info = bmc.driver_info(style) | {'bmc_protocol': 'redfish'}
    return bmc_credentials.Credentials.from_driver_info(info)


class Case(test_base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.times = []
        self.listener = events.Listener(self._heard)
        self.addCleanup(self.listener.close)

    def _heard(self, owner):
        self.times.append((owner, time.monotonic()))

    def until(self, is_so, seconds=10):
        deadline = time.monotonic() + seconds
        while not is_so():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


class TestEmulated(Case):
    def stream(self, bmc, style='bmc'):
        session = redfish.RedfishBmc(read(bmc, style))
        self.addCleanup(session.close)
        return session.event_stream()

    def test_a_bmc_without_events(self):
        self.assertIsNone(
            self.stream(self.useFixture(emulated.EmulatedRedfish()))
        )

    def test_a_change_is_heard(self):
        for tls in (True, False):
            bmc = self.useFixture(
                emulated.EmulatedRedfish(events=True, tls=tls)
            )
            self.times.clear()
            style = 'bmc' if tls else 'redfish'
            self.listener.hear('node', self.stream(bmc, style))
            self.until(lambda: len(self.times) == 1)
            bmc.power = 'on'
            self.until(lambda: len(self.times) == 2)
            # Signs of life are no events.
            time.sleep(2.5)
            self.assertEqual(2, len(self.times))
            self.assertEqual(1, len(self.listener))
            self.listener.keep_only(())
            self.until(lambda: len(self.listener) == 0)

    def test_no_password_for_another_certificate(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(events=True))
        stream = self.stream(bmc)
        bmc.change_certificate()
        self.listener.hear('node', stream)
        self.until(lambda: len(self.listener) == 0)
        self.assertEqual([], self.times)

    def test_the_secrets_are_not_shown(self):
        bmc = self.useFixture(
            emulated.EmulatedRedfish(events=True, password='S3cret')
        )
        self.assertNotIn('S3cret', repr(self.stream(bmc)))

    def test_the_watch_asks_when_it_is_told(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(events=True))
        sessions = pool.Pool()
        self.addCleanup(sessions.close)
        watched = watch.Watch(sessions, 2)
        self.addCleanup(watched.close)
        watched.watch({'node': read(bmc)})
        pace = watch.Pace(poll_s=0, redfish_poll_s=3600, limit_s=0.2)
        seen = []

        def look():
            seen.extend(power for _, power in watched.by_workers(pace))
            return seen

        self.until(look)
        for power, word in ((On, 'on'), (Off, 'off'), (On, 'on')):
            # Long enough that it is no longer asked because of the last.
            pause = time.monotonic() + watch.EVENT_PAUSE_S + 4
            while time.monotonic() < pause:
                look()
            seen.clear()
            self.assertEqual([], look())
            bmc.power = word
            began = time.monotonic()
            self.until(look)
            self.assertLess(time.monotonic() - began, 2)
            self.assertIs(power, seen[-1])


class TestBounds(test_base.BaseTestCase):
    def test_no_stream_where_files_are_few(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(events=True))
        for files, expected in ((1, 0), (2, 1)):
            sessions = pool.Pool(max_sessions=files)
            self.addCleanup(sessions.close)
            watched = watch.Watch(sessions, 2)
            self.addCleanup(watched.close)
            watched.watch({'node': read(bmc)})
            pace = watch.Pace(poll_s=0, redfish_poll_s=3600, limit_s=10)
            self.assertEqual({'node': Off}, dict(watched.by_workers(pace)))
            self.assertEqual(expected, len(watched._listener))


class TestFlood(test_base.BaseTestCase):
    def test_one_that_tells_without_end_is_asked_less_and_less(self):
        for name, value in (('EVENT_GAP_S', 0.2), ('EVENT_PAUSE_S', 1.0)):
            self.useFixture(
                fixtures.MonkeyPatch(f'{watch.__name__}.{name}', value)
            )
        bmc = self.useFixture(emulated.EmulatedRedfish())
        sessions = pool.Pool()
        self.addCleanup(sessions.close)
        watched = watch.Watch(sessions, 2)
        self.addCleanup(watched.close)
        watched.watch({'node': read(bmc)})
        one = watched._known['node']
        one.gap_s = watch.EVENT_GAP_S
        pace = watch.Pace(poll_s=0, redfish_poll_s=3600, limit_s=0.05)
        answers, until = 0, time.monotonic() + 4
        while time.monotonic() < until:
            watched._heard('node')
            answers += len(list(watched.by_workers(pace)))
            time.sleep(0.01)
        # After 0, 0.2, 0.6, 1.4 and 3 s.
        self.assertIn(answers, range(2, 7))


class Server:
    """Answers each connection as told; no BMC at all."""

    def __init__(self, *answers):
        self.asked = []
        self._answers = answers
        self._socket = socket.create_server(('127.0.0.1', 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, contextlib.suppress(OSError):
                    self.asked.append(connection.recv(4096))
                    for one in self._answers:
                        connection.sendall(one)
                        time.sleep(0.05)

    def close(self):
        self._socket.close()

    def stream(self):
        port = self._socket.getsockname()[1]
        info = {
            'redfish_address': f'http://127.0.0.1:{port}',
            'redfish_username': 'u',
            'redfish_password': 'p',
            'bmc_protocol': 'redfish',
        }
        return events.Stream(
            bmc_credentials.Credentials.from_driver_info(info), '/redfish/sse'
        )


class TestStrange(Case):
    def hear(self, *answers):
        server = Server(*answers)
        self.addCleanup(server.close)
        self.listener.hear('node', server.stream())
        self.until(lambda: len(self.listener) == 0)
        return server

    def test_a_mark_in_two_parts(self):
        self.hear(HEAD, b': x\nda', b'ta: {}\n\n', b'dat', b'e: {}\n')
        self.assertEqual(2, len(self.times))

    def test_lines_without_end(self):
        self.hear(HEAD, *[b'x' * 200_000] * 5)
        self.assertEqual(1, len(self.times))

    def test_what_is_no_stream(self):
        for answer in (
            b'',
            b'\n' * 100_000,
            b'HTTP/1.1 503 Busy\r\n\r\n',
            b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\ndata:',
            b'\r\n\r\n',
        ):
            self.hear(answer)
            self.listener.keep_only(())
        self.assertEqual([], self.times)

    def test_one_that_ended_is_left_be_for_longer_each_time(self):
        self.useFixture(
            fixtures.MonkeyPatch(f'{events.__name__}.REST_MIN_S', 0.5)
        )
        server = self.hear(b'HTTP/1.1 503 Busy\r\n\r\n')
        rests, last = [], time.monotonic()
        for count in (2, 3):

            def again(count=count):
                self.listener.hear('node', server.stream())
                return len(server.asked) == count

            self.until(again)
            rests.append(time.monotonic() - last)
            last = time.monotonic()
        self.assertGreater(rests[1], rests[0] * 1.3)

    def test_a_flood_is_read_slowly(self):
        self.hear(HEAD, *[b'data:' * 100] * 20)
        began, ended = self.times[0][1], self.times[-1][1]
        self.assertLess(
            len(self.times) - 2, (ended - began) / events.READ_GAP_S + 1
        )

    def test_it_ends(self):
        server = Server(HEAD, *[b': x\n'] * 1000)
        self.addCleanup(server.close)
        self.listener.hear('node', server.stream())
        self.until(lambda: self.times)
        thread = self.listener._thread
        self.listener.close()
        self.assertFalse(thread.is_alive())
