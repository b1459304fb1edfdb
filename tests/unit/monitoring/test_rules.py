# SPDX-License-Identifier: Apache-2.0
"""Rules of Prometheus, on recorded series, by promtool itself."""

import json
import pathlib
import shutil

import fixtures
import testtools
import yaml

from tests.unit.monitoring import recorded
from tests.unit.monitoring.recorded import bmc, sensor, series, system
from zsbm_ironic.common import process

FOLDER = pathlib.Path(__file__).parents[3] / 'etc' / 'prometheus'
FILES = (FOLDER / 'zsbm-limits.yml', FOLDER / 'zsbm-alerts.yml')
# Alert -> what makes it fire, minutes until it does, severity, whom it
# concerns.
ALERTS = {
    'BmcSilent': ([bmc('baremetal_up', 0)], 10, 'warning', 'hardware'),
    'HardwareCritical': (
        [bmc('baremetal_health_state', 2)],
        5,
        'critical',
        'hardware',
    ),
    'HardwareWarning': (
        [bmc('baremetal_health_state', 1)],
        15,
        'warning',
        'hardware',
    ),
    'TemperatureCritical': (
        [sensor('Temperature', 2)],
        1,
        'critical',
        'hardware',
    ),
    'FanFailed': ([sensor('Fan', 2)], 2, 'critical', 'hardware'),
    'PowerSupplyFailed': (
        [sensor('Power Supply', 2)],
        2,
        'critical',
        'hardware',
    ),
    'MemoryErrors': ([sensor('Memory', 1)], 1, 'critical', 'hardware'),
    'DriveFailed': ([sensor('Drive Bay', 2)], 1, 'critical', 'hardware'),
    'PowerNotAsWanted': (
        [bmc('baremetal_power_wanted', 0)],
        10,
        'warning',
        'hardware',
    ),
    'ReadingsOld': (
        [bmc('baremetal_reading_timestamp_seconds', 0)],
        11,
        'warning',
        'fleet',
    ),
    'SystemSilent': ([system('up', 0)], 5, 'critical', 'system'),
    'DiskFull': (
        [system('node_filesystem_avail_bytes', 9, mountpoint='/')],
        10,
        'warning',
        'system',
    ),
    'DiskFailing': (
        [system('smartmon_device_smart_healthy', 0, disk='/dev/sda')],
        1,
        'critical',
        'hardware',
    ),
    'MemoryFull': (
        [system('node_memory_MemAvailable_bytes', 4)],
        15,
        'warning',
        'system',
    ),
    'MemoryUncorrectable': (
        [system('node_edac_uncorrectable_errors_total', '3x4 4x80')],
        5,
        'critical',
        'hardware',
    ),
    'LinkDown': (
        [system('node_network_carrier', '1 0x80', device='eth0')],
        6,
        'warning',
        'hardware',
    ),
    'LinkBroken': (
        [system('node_network_receive_errs_total', '0+12x80', device='eth0')],
        11,
        'warning',
        'hardware',
    ),
    'BondDegraded': (
        [system('node_bonding_active', 1, master='bond0')],
        5,
        'warning',
        'hardware',
    ),
    'ClockWrong': (
        [system('node_timex_offset_seconds', -0.2)],
        10,
        'warning',
        'system',
    ),
    'ClockNotSynchronised': (
        [system('node_timex_sync_status', 0)],
        60,
        'warning',
        'system',
    ),
}
# Those that are of no server.
SLOW, SILENT = 'ReadingsSlow', 'ConductorSilent'


def firing(alert, severity, concerns):
    said = {
        'alertname': alert,
        'severity': severity,
        'concerns': concerns,
        'owner': 'ops',
        'lessee': 'shop',
        'node_name': 'web-1',
    }
    return f'{{{",".join(f"{k}={v!r}" for k, v in said.items())}}}'.replace(
        "'", '"'
    )


@testtools.skipUnless(shutil.which('promtool'), 'package prometheus')
class RulesTest(testtools.TestCase):
    def promtool(self, *cases):
        """Run cases with our rules."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        path = folder / 'test.yml'
        path.write_text(
            json.dumps(
                {
                    'rule_files': list(map(str, FILES)),
                    'evaluation_interval': '1m',
                    'tests': cases,
                }
            )
        )
        done = process.run(
            ['promtool', 'test', 'rules', path], timeout_s=120, check=False
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_a_healthy_server_calls_nobody(self):
        told = recorded.healthy()
        self.promtool(
            *(recorded.case(told, at, []) for at in ('5m', '30m', '89m'))
        )

    def test_each_alert_fires_in_time_and_to_whom_it_concerns(self):
        cases = []
        for alert, (others, minutes, severity, concerns) in ALERTS.items():
            told = recorded.with_other(recorded.healthy(), *others)
            cases += [
                recorded.case(told, f'{minutes - 1}m', []),
                recorded.case(
                    told,
                    f'{minutes + 2}m',
                    [firing(alert, severity, concerns)],
                ),
            ]
        self.promtool(*cases)

    def test_nobody_is_called_for_a_server_in_maintenance(self):
        self.promtool(
            *(
                recorded.case(
                    recorded.with_other(
                        recorded.healthy(maintenance=True), *others
                    ),
                    f'{minutes + 2}m',
                    [],
                )
                for others, minutes, _severity, _concerns in ALERTS.values()
            )
        )

    def test_it_ends_when_the_cause_does(self):
        told = recorded.with_other(
            recorded.healthy(), bmc('baremetal_health_state', '2x10 0x70')
        )
        fires = firing('HardwareCritical', 'critical', 'hardware')
        self.promtool(
            recorded.case(told, '9m', [fires]),
            recorded.case(told, '15m', [fires]),
            recorded.case(told, '18m', []),
        )

    def test_what_names_a_component_is_all_that_is_told(self):
        """Health is that of the worst component, which is told by itself."""
        cases = []
        for alert, others in (
            (
                'FanFailed',
                [sensor('Fan', 2), bmc('baremetal_health_state', 2)],
            ),
            (
                'MemoryErrors',
                [sensor('Memory', 1), bmc('baremetal_health_state', 1)],
            ),
        ):
            told = recorded.with_other(recorded.healthy(), *others)
            cases += [
                recorded.case(
                    told, at, [firing(alert, 'critical', 'hardware')]
                )
                for at in ('4m', '20m', '60m')
            ]
        self.promtool(*cases)

    def test_a_conductor_that_is_restarted_ends_nothing(self):
        told = recorded.with_other(
            [
                {**one, 'values': '1x10 _x4 1x70'}
                if 'baremetal_node_info' in one['series']
                else one
                for one in recorded.healthy()
            ],
            bmc('baremetal_health_state', '2x10 _x4 2x70'),
        )
        fires = firing('HardwareCritical', 'critical', 'hardware')
        self.promtool(
            *(
                recorded.case(told, at, [fires])
                for at in ('9m', '12m', '14m', '16m', '22m', '40m')
            )
        )

    def test_a_conductor_that_is_silent(self):
        up = series('up', '1x5 0x80', job='baremetal', instance='c1:9609')
        told = [*recorded.healthy(), up]
        fires = (
            '{alertname="ConductorSilent",severity="critical",'
            'concerns="fleet"}'
        )
        self.promtool(
            recorded.case(told, '10m', []), recorded.case(told, '13m', [fires])
        )

    def test_a_server_that_is_off_is_not_silent(self):
        told = recorded.with_other(
            recorded.healthy(),
            system('up', 0),
            bmc('baremetal_power_state', 0),
            bmc('baremetal_power_wanted', 0),
        )
        self.promtool(recorded.case(told, '20m', []))

    def test_a_server_that_two_conductors_know(self):
        """As it is for a moment, when one takes it over from another."""
        told = recorded.with_other(
            recorded.healthy(),
            series(
                'baremetal_node_info',
                1,
                **recorded.INFO,
                instance='other:9609',
            ),
            bmc('baremetal_health_state', 2),
        )
        self.promtool(
            recorded.case(
                told,
                '9m',
                [firing('HardwareCritical', 'critical', 'hardware')],
            )
        )

    def test_a_server_that_changed_hands_between_conductors(self):
        """The one that gave it away may know it as it was."""
        there = {'instance': 'other:9609'}
        told = recorded.with_other(
            recorded.healthy(),
            series(
                'baremetal_node_info',
                1,
                **{**recorded.INFO, 'owner': 'before'},
                **there,
            ),
            bmc('baremetal_reading_timestamp_seconds', '0x9 _x90', **there),
            bmc('baremetal_power_state', 1, **there),
            bmc('baremetal_power_wanted', 1, **there),
            bmc('baremetal_health_state', 2),
        )
        self.promtool(
            recorded.case(
                told,
                '8m',
                [firing('HardwareCritical', 'critical', 'hardware')],
            )
        )

    def test_limits_follow_the_interval(self):
        """Readings of ten minutes are neither old nor slow."""
        told = recorded.with_other(
            recorded.healthy(),
            series('baremetal_interval_seconds', 600),
            series('baremetal_round_seconds', 200),
            bmc(
                'baremetal_reading_timestamp_seconds',
                ' '.join(f'{600 * n}x9' for n in range(9)),
            ),
        )
        self.promtool(
            *(recorded.case(told, at, []) for at in ('19m', '45m', '89m'))
        )

    def test_a_link_that_is_down_for_days(self):
        minutes = 3 * 24 * 60
        told = [
            {**one, 'values': one['values'].replace('x90', f'x{minutes}')}
            for one in recorded.with_other(
                recorded.healthy(),
                system(
                    'node_network_carrier', f'1 0x{minutes}', device='eth0'
                ),
            )
        ]
        fires = [firing('LinkDown', 'warning', 'hardware')]
        self.promtool(recorded.case(told, '2900m', fires))

    def test_slow_rounds_are_of_no_server(self):
        told = recorded.with_other(
            recorded.healthy(), series('baremetal_round_seconds', 61)
        )
        self.promtool(
            recorded.case(
                told,
                '17m',
                [
                    f'{{alertname="{SLOW}",severity="warning",'
                    'concerns="fleet"}'
                ],
            )
        )

    def test_the_narrowest_limit_counts(self):
        """Of a server, else of its class, else of all."""
        nearly = system('node_filesystem_avail_bytes', 9, mountpoint='/')
        fires = [firing('DiskFull', 'warning', 'system')]

        def limit(value, **whose):
            return series(
                'baremetal_limit', value, limit='disk_free_ratio', **whose
            )

        for limits, expected in (
            ([], fires),
            ([limit(0.05, resource_class='big')], []),
            ([limit(0.05, resource_class='small')], fires),
            (
                [
                    limit(0.05, resource_class='big'),
                    limit(0.2, node_uuid='u1'),
                ],
                fires,
            ),
            ([limit(0.05, node_uuid='u1')], []),
        ):
            told = recorded.with_other(recorded.healthy(), nearly, *limits)
            self.promtool(recorded.case(told, '15m', expected))

    def test_each_alert_is_tested(self):
        self.assertEqual(
            {*ALERTS, SLOW, SILENT}, {rule['alert'] for rule in alerts()}
        )


def alerts():
    document = yaml.safe_load(FILES[1].read_text())
    return [
        rule
        for group in document['groups']
        for rule in group['rules']
        if 'alert' in rule
    ]


class TextTest(testtools.TestCase):
    def test_each_alert_says_what_and_what_to_do(self):
        for rule in alerts():
            said = rule['annotations']
            self.assertEqual({'summary', 'remedy'}, set(said), rule['alert'])
            self.assertLessEqual(
                {rule['labels']['severity']}, {'critical', 'warning'}
            )
            self.assertLessEqual(
                {rule['labels']['concerns']}, {'hardware', 'system', 'fleet'}
            )

    def test_limits_are_all_of_one_shape(self):
        document = yaml.safe_load(FILES[0].read_text())
        rules = [
            rule for group in document['groups'] for rule in group['rules']
        ]
        names = {
            rule['labels']['limit']
            for rule in rules
            if rule['record'] == 'baremetal_limit'
        }
        shapes = {
            rule['record'].removeprefix('baremetal:limit:'): rule['expr']
            for rule in rules
            if rule['record'] != 'baremetal_limit'
        }
        self.assertEqual(names, set(shapes))
        self.assertEqual(
            1, len({text.replace(name, '') for name, text in shapes.items()})
        )
