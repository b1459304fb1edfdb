# SPDX-License-Identifier: Apache-2.0
"""A fleet of BMCs in one process, asked by our own clients."""

import socket
import threading

import testtools

from zsbm_ironic.bmc import base, pool
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.lab.emulator import fleet

IPMI, REDFISH = 12, 5
# ASF presence ping, IPMI v2.0 13.2.3.
PING = bytes.fromhex('0600ff06000011be80000000')


class FleetTest(testtools.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fleet = fleet.Fleet(
            fleet.Plan(ipmi=IPMI, redfish=REDFISH, ipmi_port=0, redfish_port=0)
        )
        cls.addClassCleanup(cls.fleet.stop)

    def setUp(self):
        super().setUp()
        self.pool = pool.Pool()
        self.addCleanup(self.pool.close)

    def ask(self, member, function, **how):
        credentials = bmc_credentials.Credentials.from_driver_info(
            self.fleet.driver_info(member)
        )
        return self.pool.call(member.name, credentials, function, **how)

    def power(self, member):
        return self.ask(member, lambda bmc: bmc.get_power())

    def test_each_is_a_machine_of_its_own(self):
        members = self.fleet.members
        self.assertEqual(IPMI + REDFISH, len({one.address for one in members}))
        for one in (members[3], members[IPMI + 1]):
            one.chassis.is_on = False
            self.addCleanup(setattr, one.chassis, 'is_on', True)
        self.assertEqual(
            {members[3].name, members[IPMI + 1].name},
            {
                one.name
                for one in members
                if self.power(one) is base.PowerState.OFF
            },
        )
        self.assertEqual(len(members), len(self.pool))

    def test_an_action_hits_the_one_that_it_is_for(self):
        one, other = self.fleet.members[:2]
        self.ask(
            one, lambda bmc: bmc.set_power(base.PowerAction.RESET), once=True
        )
        self.assertEqual(['reset'], one.chassis.actions)
        self.assertEqual([], other.chassis.actions)

    def test_sensors_and_identity_are_its_own(self):
        for number in (5, IPMI + 2):
            one, other = self.fleet.members[number : number + 2]
            one.chassis.readings.overrides['Inlet Temp'] = 30.0
            found = [
                {
                    sensor.name: sensor.value
                    for sensor in self.ask(bmc, lambda bmc: bmc.sensors())
                }['Inlet Temp']
                for bmc in (one, other)
            ]
            self.assertEqual([30.0, 23.0], found)

    def test_a_silent_one_delays_no_other(self):
        silent = self.fleet.members[7]
        silent.faults.off = True
        asking = threading.Thread(target=self.power, args=(silent,))
        asking.start()
        self.addCleanup(asking.join)
        self.addCleanup(setattr, silent.faults, 'off', False)
        for one in (*self.fleet.members[:7], *self.fleet.members[8:]):
            self.assertIs(base.PowerState.ON, self.power(one))
        self.assertTrue(asking.is_alive())

    def test_nobody_is_at_other_addresses(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(1)
            for address in (self.fleet.members[0].address, '127.9.0.9'):
                asking.sendto(PING, (address, self.fleet.ipmi_port))
            _pong, sender = asking.recvfrom(100)
            self.assertEqual(self.fleet.members[0].address, sender[0])
            self.assertRaises(TimeoutError, asking.recvfrom, 100)

    def test_restarted_it_knows_no_session_and_is_asked_again(self):
        for number in (4, IPMI + 3):
            one = self.fleet.members[number]
            self.power(one)
            self.fleet.restart(one.name, 0.1)
            self.assertIs(base.PowerState.ON, self.power(one))
