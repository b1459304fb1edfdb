# SPDX-License-Identifier: Apache-2.0
"""Metrics of a real conductor, scraped and asked for by a real Prometheus.

Needs Debian's package prometheus; the daemon that the package brings is not
used: the test starts one of its own.
"""

import shutil
import time
import unittest

import requests

from tests import bmcs
from tests.functional import ironic_service, watch
from zsbm_ironic.common import process
from zsbm_ironic.lab.emulator import fixtures as emulated

WAIT_S = 60
# The conductor reads at most this often; see [zsbm_monitoring]interval_s.
INTERVAL_S = 10


@unittest.skipUnless(shutil.which('prometheus'), 'package prometheus')
class TestMetrics(ironic_service.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.listen = f'{bmcs.ADDRESS}:{bmcs.free_port()}'
        cls.options = {
            'zsbm_monitoring': {
                'enabled': 'true',
                'interval_s': str(INTERVAL_S),
                'listen': cls.listen,
            },
        }
        super().setUpClass()

    def setUp(self):
        super().setUp()
        job = {
            'job_name': 'baremetal',
            'static_configs': [{'targets': [self.listen]}],
        }
        self.prometheus = self.useFixture(watch.Prometheus([job]))

    def _managed(self, name, bmc):
        node = self.enrol('zsbm', bmc.driver_info(), name=name)
        self.manage(node)
        return node

    def _until(self, query, expected):
        deadline = time.monotonic() + WAIT_S
        while (found := self.prometheus.ask(query)) != expected:
            self.assertLess(time.monotonic(), deadline, f'{query}: {found}')
            time.sleep(0.5)

    def test_both_protocols(self):
        ipmi = self.useFixture(emulated.EmulatedIpmi(power='on'))
        redfish = self.useFixture(emulated.EmulatedRedfish(power='on'))
        self._managed('by-ipmi', ipmi)
        self._managed('by-redfish', redfish)
        for query, expected in (
            ('baremetal_up', 1),
            ('baremetal_power_state', 1),
            ('baremetal_health_state', 0),
        ):
            self._until(
                query,
                {('by-ipmi', None): expected, ('by-redfish', None): expected},
            )
        self._until(
            'baremetal_temperature_celsius{sensor="Inlet Temp"}',
            {
                ('by-ipmi', 'Inlet Temp'): 23,
                ('by-redfish', 'Inlet Temp'): 23,
            },
        )
        self._until(
            'baremetal_fan_speed_rpm{node_name="by-ipmi",sensor="Fan1"}',
            {('by-ipmi', 'Fan1'): 5600},
        )
        text = requests.get(f'http://{self.listen}/metrics', timeout=10).text
        # Prometheus' own opinion of names, help texts and units.
        process.run(['promtool', 'check', 'metrics'], stdin=text, timeout_s=30)

    def test_a_fault_a_silent_bmc_and_a_node_that_is_gone(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(power='on'))
        node = self._managed('web-1', bmc)
        self._until('baremetal_health_state', {('web-1', None): 0})
        bmc.set_reading('CPU1 Temp', 97)
        self._until('baremetal_health_state', {('web-1', None): 2})
        self._until(
            'baremetal_sensor_state{sensor="CPU1 Temp"}',
            {('web-1', 'CPU1 Temp'): 2},
        )
        bmc.faults.off = True
        self._until('baremetal_up', {('web-1', None): 0})
        bmc.faults.off = False
        self._until('baremetal_up', {('web-1', None): 1})
        self._delete(node)
        self._until('baremetal_up', {})

    def test_rules_and_dashboards(self):
        """Each is evaluated by a real Prometheus without an error."""
        self._managed('web-1', self.useFixture(emulated.EmulatedIpmi()))
        self._until('baremetal:node', {('web-1', None): 1})
        rules = [
            rule
            for group in self.prometheus.get('rules')['data']['groups']
            for rule in group['rules']
        ]
        self.assertLess(20, len(rules))
        for rule in rules:
            self.assertEqual('', rule.get('lastError', ''), rule['name'])
        for title, expression in watch.panels():
            query = watch.filled(
                expression,
                __rate_interval='1m',
                node='web-1',
                rack='.*',
                **{'class': '.*'},
            )
            answer = self.prometheus.get('query', query=query)
            self.assertEqual('success', answer['status'], (title, answer))
