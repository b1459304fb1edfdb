# SPDX-License-Identifier: Apache-2.0
"""From a BMC's answers to what a scrape returns, over real sockets."""

import http.client
import os
import pathlib
import re
import socket
import threading
import time
import urllib.request

import fixtures
from oslo_config import cfg
from oslotest import base as test_base
from prometheus_client import parser

from zsbm_ironic.bmc import base
from zsbm_ironic.common import exception
from zsbm_ironic.conf import monitoring
from zsbm_ironic.monitoring import (
    collector,
    discovery,
    durations,
    exporter,
    push,
    readings,
)

SENSORS = (
    base.SensorReading('Inlet', 'Temperature', 21.5, 'C', base.Health.OK),
    base.SensorReading('Fan', 'Fan', 4200.0, 'RPM', base.Health.OK),
    base.SensorReading('Fan', 'Fan', 0.0, 'RPM', base.Health.CRITICAL),
    base.SensorReading('Fan duty', 'Fan', 35.0, '%', base.Health.OK),
    base.SensorReading('PSU 1', 'Power', 180.0, 'W', base.Health.WARNING),
    base.SensorReading(
        'Intrusion', 'Physical', None, None, base.Health.UNKNOWN, ('ok',)
    ),
)


class Chassis:
    """A BMC's answers without a BMC."""

    def __init__(
        self, sensors=SENSORS, error=None, protocol=base.BmcProtocol.REDFISH
    ):
        self._sensors, self._error = sensors, error
        self.protocol = protocol
        self.sensor_rounds = 0

    def get_power(self):
        if self._error:
            raise self._error
        return base.PowerState.ON

    def sensors(self):
        self.sensor_rounds += 1
        return self._sensors

    def health(self):
        return base.worst([sensor.health for sensor in self.sensors()])

    def logged_events(self):
        return 7

    def source(self, uuid='uuid-1', name='web-1', **facts):
        return readings.Source(
            uuid,
            name,
            lambda function: function(self),
            readings.Facts(**facts),
        )


def samples(text):
    """Return {(metric, sensor or node name): value}."""
    return {
        (
            sample.name,
            sample.labels.get('sensor') or sample.labels.get('node_name', ''),
        ): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scrape(test_base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.board = readings.Board()

    def _round(self, *sources, workers=4):
        readings.take_round(sources, self.board, workers)

    def _serve(self, listen='127.0.0.1:0'):
        receiver = push.Receiver()
        server = exporter.Exporter(
            listen,
            collector.ReadingsCollector(
                self.board,
                receiver,
                lambda: {'baremetal_bmc_sessions': 3},
            ),
            discovery.Directory(),
            receiver,
        )
        self.addCleanup(server.close)
        return server

    def _scrape(self):
        port = self._serve().port
        url = f'http://127.0.0.1:{port}/metrics'
        with urllib.request.urlopen(url, timeout=10) as answer:
            return samples(answer.read().decode())

    def test_units_become_metrics(self):
        self._round(Chassis().source())
        found = self._scrape()
        for (name, label), value in {
            ('baremetal_up', 'web-1'): 1,
            ('baremetal_power_state', 'web-1'): 1,
            ('baremetal_health_state', 'web-1'): 2,
            ('baremetal_temperature_celsius', 'Inlet'): 21.5,
            ('baremetal_fan_speed_rpm', 'Fan'): 4200,
            ('baremetal_sensor_ratio', 'Fan duty'): 0.35,
            ('baremetal_power_watts', 'PSU 1'): 180,
            ('baremetal_sensor_state', 'PSU 1'): 1,
            ('baremetal_event_log_entries', 'web-1'): 7,
        }.items():
            self.assertEqual(value, found[name, label])

    def test_whose_a_node_is_and_what_is_wanted_of_it(self):
        self._round(
            Chassis().source(
                owner='a"b',
                rack='R7',
                maintenance=True,
                lasted=durations.Durations(61.5, 300.0),
                power=base.PowerState.OFF,
            ),
            Chassis().source('u2', 'web-2', deployed=True),
        )
        found = self._scrape()
        for name, first, second in (
            ('node_info', 1, 1),
            ('maintenance', 1, 0),
            ('deployed', 0, 1),
            ('boot_seconds', 61.5, None),
            ('deploy_seconds', 300, None),
            ('power_wanted', 0, None),
        ):
            self.assertEqual(
                (first, second),
                tuple(
                    found.get((f'baremetal_{name}', node))
                    for node in ('web-1', 'web-2')
                ),
            )

    def test_figures_of_the_conductor(self):
        self._round(Chassis().source())
        found = self._scrape()
        self.assertEqual(3, found['baremetal_bmc_sessions', ''])
        self.assertGreater(found['baremetal_round_seconds', ''], 0)

    def test_ipmi_sensors_are_read_once(self):
        chassis = Chassis(protocol=base.BmcProtocol.IPMI)
        self._round(chassis.source())
        self.assertEqual(1, chassis.sensor_rounds)
        self.assertEqual(2, self._scrape()['baremetal_health_state', 'web-1'])

    def test_two_sensors_of_one_name_are_two_series(self):
        self._round(Chassis().source())
        self.assertEqual(
            0, self._scrape()['baremetal_fan_speed_rpm', 'Fan #2']
        )

    def test_a_sensor_without_figure_or_state_is_left_out(self):
        self._round(Chassis().source())
        self.assertFalse([key for key in self._scrape() if 'Intru' in key[1]])

    def test_a_silent_bmc_is_down_and_the_others_are_read(self):
        silent = Chassis(
            error=exception.ProcessTimedOut(program='x', timeout_s=1)
        )
        broken = Chassis(error=ValueError('struct'))
        self._round(
            silent.source('u1', 'silent'),
            broken.source('u2', 'broken'),
            Chassis().source('u3', 'well'),
        )
        found = self._scrape()
        states = [
            found['baremetal_up', name]
            for name in ('silent', 'broken', 'well')
        ]
        self.assertEqual([0, 0, 1], states)
        self.assertNotIn(('baremetal_power_state', 'silent'), found)

    def test_a_node_that_went_to_another_conductor_is_gone(self):
        self._round(
            Chassis().source('u1', 'stays'), Chassis().source('u2', 'x')
        )
        self._round(Chassis().source('u1', 'stays'))
        found = self._scrape()
        self.assertIn(('baremetal_up', 'stays'), found)
        self.assertNotIn(('baremetal_up', 'x'), found)

    def test_names_with_quotes_and_newlines(self):
        hostile = 'a"b\\c\nd{}'
        sensor = base.SensorReading(
            hostile, 'Temperature', 1.0, 'C', base.Health.OK
        )
        self._round(Chassis((sensor,)).source())
        self.assertIn(
            ('baremetal_temperature_celsius', 'a"b\\c d{}'), self._scrape()
        )

    def test_names_that_are_none(self):
        health = base.Health.OK
        self._round(
            Chassis(
                tuple(
                    base.SensorReading(name, kind, 1.0, 'C', health)
                    for name, kind in (
                        (None, 'Temperature'),
                        (7, None),
                        ('\ud800', 'x'),
                        (['a'], 'y' * 9000),
                        ('n' * 9000, 'x'),
                    )
                )
            ).source(),
            Chassis().source('u2', 'well'),
        )
        found = self._scrape()
        self.assertEqual(1, found['baremetal_up', 'well'])
        self.assertEqual(1, found['baremetal_temperature_celsius', 'unnamed'])
        self.assertLessEqual(
            max(len(label) for _, label in found), collector.NAME_CHARS
        )

    def test_names_that_look_like_counted_ones(self):
        names = ('Fan', 'Fan #2', 'Fan', 'Fan')
        self._round(
            Chassis(
                tuple(
                    base.SensorReading(
                        name, 'Fan', float(number), 'RPM', base.Health.OK
                    )
                    for number, name in enumerate(names)
                )
            ).source()
        )
        found = self._scrape()
        self.assertEqual(
            {0, 1, 2, 3},
            {
                value
                for (name, _), value in found.items()
                if name == 'baremetal_fan_speed_rpm'
            },
        )

    def test_no_more_series_than_allowed(self):
        many = tuple(
            base.SensorReading(str(n), 'Fan', 1.0, 'RPM', base.Health.OK)
            for n in range(2 * collector.LIMIT_SENSORS)
        )
        self._round(Chassis(many).source())
        found = [
            key
            for key in self._scrape()
            if key[0] == 'baremetal_fan_speed_rpm'
        ]
        self.assertEqual(collector.LIMIT_SENSORS, len(found))

    def test_a_log_that_cannot_be_read_is_no_silence(self):
        class Forbidden(Chassis):
            def logged_events(self):
                raise exception.BmcBusy(address='192.0.2.1', answer='503')

        self._round(Forbidden().source())
        found = self._scrape()
        self.assertEqual(1, found['baremetal_up', 'web-1'])
        self.assertNotIn(('baremetal_event_log_entries', 'web-1'), found)

    def test_a_round_that_is_over_forgets_nobody(self):
        self._round(Chassis().source())
        chassis = Chassis()
        readings.take_round(
            [chassis.source('u2', 'other')], self.board, 4, lambda: True
        )
        self.assertEqual(0, chassis.sensor_rounds)
        self.assertIn(('baremetal_up', 'web-1'), self._scrape())

    def test_bmcs_are_read_at_the_same_time(self):
        together = threading.Barrier(3, timeout=10)

        class Waiting(Chassis):
            def get_power(self):
                together.wait()
                return super().get_power()

        self._round(*(Waiting().source(str(i), str(i)) for i in range(3)))
        self.assertEqual(1, self._scrape()['baremetal_up', '2'])

    def test_a_scrape_does_not_wait_for_a_bmc(self):
        asked, release = threading.Event(), threading.Event()

        class Slow(Chassis):
            def get_power(self):
                asked.set()
                release.wait(10)
                return super().get_power()

        worker = threading.Thread(target=self._round, args=(Slow().source(),))
        worker.start()
        self.addCleanup(worker.join)
        self.addCleanup(release.set)
        asked.wait(10)
        started = time.monotonic()
        self._scrape()
        self.assertLess(time.monotonic() - started, 5)

    def test_unix_socket(self):
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'metrics.sock'
        )
        # What a conductor that was killed leaves behind.
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        self._round(Chassis().source())
        server = self._serve(f'unix:{path}')
        self.assertEqual(0o660, os.stat(path).st_mode & 0o777)
        connection = http.client.HTTPConnection('localhost')
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        connection.sock.connect(str(path))
        self.addCleanup(connection.close)
        connection.request('GET', '/metrics')
        text = connection.getresponse().read().decode()
        self.assertEqual(1, samples(text)['baremetal_up', 'web-1'])
        server.close()
        self.assertFalse(path.exists())

    def test_a_file_in_the_way_of_the_socket_is_kept(self):
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'metrics.sock'
        )
        path.write_text('mine')
        self.assertRaises(OSError, self._serve, f'unix:{path}')
        self.assertEqual('mine', path.read_text())


class ListenOption(test_base.BaseTestCase):
    def test_only_this_host(self):
        conf = cfg.ConfigOpts()
        monitoring.register_opts(conf)
        conf([])
        group = monitoring.GROUP.name
        for good in ('127.0.0.1:1', '[::1]:9609', 'unix:/run/x/m.sock'):
            conf.set_override('listen', good, group)
        for bad in ('0.0.0.0:9609', '192.0.2.1:9609', ':9609', 'unix:m'):
            self.assertRaises(
                ValueError, conf.set_override, 'listen', bad, group
            )


class Documented(test_base.BaseTestCase):
    def test_the_page_lists_each_metric_and_no_other(self):
        page = pathlib.Path(__file__).parents[3] / (
            'doc/source/admin/monitoring.rst'
        )
        listed = re.findall(r'\* - ``(baremetal_\w+)``', page.read_text())
        self.assertEqual(set(collector.METRICS), set(listed))
