# SPDX-License-Identifier: Apache-2.0
"""What happens to a server by itself is in Ironic within seconds."""

import time

import requests

from tests.functional import ironic_service
from zsbm_ironic.lab.emulator import fixtures as emulated


class TestPowerWatch(ironic_service.TestCase):
    options = {
        'conductor': {'force_power_state_during_sync': 'false'},
        'zsbm_bmc': {'power_poll_s': '1'},
    }

    def wait_for_power(self, node, state):
        deadline = time.monotonic() + 15
        while self.api.get_node(node).power_state != state:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)

    def health(self, node):
        answer = requests.get(
            f'{self.ironic.url}/v1/nodes/{node}',
            headers={'X-OpenStack-Ironic-API-Version': 'latest'},
            timeout=30,
        )
        return answer.json()['health']

    def test_power_follows_the_machine(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('off'))
        bmc.set_reading('Inlet Temp', 45)
        node = self.enrol('zsbm', bmc.driver_info())
        self.manage(node)
        for state in ('on', 'off', 'on'):
            bmc.power = state
            self.wait_for_power(node, f'power {state}')
        # Ironic looked at the health as well, while it was there.
        self.assertEqual('Critical', self.health(node))
        # Nobody interfered with the machine, and one session did it all.
        self.assertEqual([], bmc.actions)
        self.assertEqual(1, bmc.sessions)

    def test_a_dead_bmc_delays_no_other(self):
        dead = self.useFixture(emulated.EmulatedIpmi('off', name='dead'))
        alive = self.useFixture(emulated.EmulatedIpmi('off', name='alive'))
        node = self.enrol('zsbm', alive.driver_info())
        for each in (self.enrol('zsbm', dead.driver_info()), node):
            self.manage(each)
        dead.faults.off = True
        time.sleep(3)
        for state in ('on', 'off', 'on'):
            alive.power = state
            self.wait_for_power(node, f'power {state}')
