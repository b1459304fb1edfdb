# SPDX-License-Identifier: Apache-2.0
"""What happens to a server by itself is in Ironic within seconds."""

import time

import requests

from tests.functional import ironic_service
from zsbm_ironic.bmc import watch
from zsbm_ironic.lab.emulator import fixtures as emulated

KNOWN_S = 6
REDFISH_POLL_S = 5


class WatchCase(ironic_service.TestCase):
    options = {
        'conductor': {'force_power_state_during_sync': 'false'},
        'zsbm_bmc': {
            'power_poll_s': '4',
            'redfish_poll_s': str(REDFISH_POLL_S),
        },
    }

    def assert_known(self, node, bmc, power, seconds=KNOWN_S):
        """Something happens to a machine: how long until Ironic knows?"""
        bmc.power = power
        began = time.monotonic()
        while self.api.get_node(node).power_state != f'power {power}':
            self.assertLess(time.monotonic() - began, seconds)
            time.sleep(0.1)

    def managed(self, bmc):
        node = self.enrol('zsbm', bmc.driver_info())
        self.manage(node)
        return node

    def health(self, node):
        answer = requests.get(
            f'{self.ironic.url}/v1/nodes/{node}',
            headers={'X-OpenStack-Ironic-API-Version': 'latest'},
            timeout=30,
        )
        return answer.json()['health']


class TestPowerWatch(WatchCase):
    def test_power_follows_the_machine(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('off'))
        bmc.set_reading('Inlet Temp', 45)
        node = self.managed(bmc)
        for state in ('on', 'off', 'on', 'off'):
            self.assert_known(node, bmc, state)
            # At another moment between two looks each time.
            time.sleep(1.3)
        # Ironic looked at the health as well, while it was there.
        self.assertEqual('Critical', self.health(node))
        # Nobody interfered with the machine, and one session did it all.
        self.assertEqual([], bmc.actions)
        self.assertEqual(1, bmc.sessions)

    def test_by_redfish(self):
        bmc = self.useFixture(emulated.EmulatedRedfish('off'))
        node = self.managed(bmc)
        for state in ('on', 'off'):
            self.assert_known(node, bmc, state, REDFISH_POLL_S + KNOWN_S)
        self.assertEqual([], bmc.actions)

    def test_dead_bmcs_delay_no_other(self):
        dead = [
            self.useFixture(
                emulated.EmulatedIpmi('off', name=f'dead-{number}')
            )
            for number in range(3)
        ]
        dead.append(self.useFixture(emulated.EmulatedRedfish('off')))
        alive = self.useFixture(emulated.EmulatedIpmi('off', name='alive'))
        node = self.managed(alive)
        for each in dead:
            self.managed(each)
        for each in dead:
            each.faults.off = True
        for state in ('on', 'off', 'on'):
            self.assert_known(node, alive, state)


class TestEvents(WatchCase):
    options = {
        **WatchCase.options,
        'zsbm_bmc': {'power_poll_s': '4', 'redfish_poll_s': '3600'},
    }

    def test_a_bmc_that_tells(self):
        bmc = self.useFixture(emulated.EmulatedRedfish('off', events=True))
        node = self.managed(bmc)
        # Its events are heard once it has been asked.
        self.assert_known(node, bmc, 'on', 2 * KNOWN_S)
        for state in ('off', 'on'):
            # Long enough that it is no longer asked because of the last.
            time.sleep(watch.EVENT_PAUSE_S + 2 * watch.EVENT_GAP_S)
            self.assert_known(node, bmc, state)
        self.assertEqual([], bmc.actions)


class TestEnd(ironic_service.TestCase):
    options = WatchCase.options

    def test_a_conductor_that_ends_frees_the_slots(self):
        bmcs = (
            self.useFixture(emulated.EmulatedIpmi('off')),
            self.useFixture(emulated.EmulatedRedfish('off')),
        )
        for bmc in bmcs:
            self.manage(self.enrol('zsbm', bmc.driver_info()))
            self.assertLess(0, bmc.sessions)
        self.ironic.stop()
        self.addCleanup(self.ironic.start)
        for bmc in bmcs:
            self.assertEqual(0, bmc.sessions)
