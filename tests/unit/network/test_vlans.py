# SPDX-License-Identifier: Apache-2.0
"""VLANs that ironic-networking is to set: what it would pass over is told."""

import dataclasses

from oslotest import base

from tests.unit.network.test_plan import NIC
from zsbm_ironic.network import vlan, vlans
from zsbm_ironic.network.finding import State
from zsbm_ironic.network.wiring import Purpose

SETTING = '[ironic_networking]provisioning_network'


class VlansTest(base.BaseTestCase):
    def judged(self, allowed=None, **changes):
        wanted = vlans.Wanted(Purpose.PROVISIONING, NIC, SETTING, vlan=100)
        (found,) = vlans.judge(
            [dataclasses.replace(wanted, **changes)], allowed
        )
        return found

    def test_right(self):
        found = self.judged(allowed=frozenset({100, 101}))
        self.assertIs(State.OK, found.state)
        self.assertEqual('provisioning, VLAN 100', found.detail)

    def test_nowhere_said(self):
        found = self.judged(vlan=None)
        self.assertIs(State.WRONG, found.state)
        self.assertEqual(f'Set {SETTING}.', found.remedy)

    def test_nowhere_said_for_a_user_may_be_meant(self):
        for changes in (
            {'purpose': Purpose.TENANT},
            {'nic': dataclasses.replace(NIC, boots=False)},
        ):
            found = self.judged(vlan=None, **changes)
            self.assertIs(State.UNKNOWN, found.state)

    def test_no_vlan_of_this_number(self):
        for changes in (
            {'vlan': 0},
            {'vlan': 4095},
            {'vlan': 100, 'tagged': frozenset({0})},
        ):
            found = self.judged(**changes)
            self.assertEqual('vlan-range', found.check)
            self.assertIs(State.WRONG, found.state)

    def test_word_that_is_asked_for_and_is_no_vlan(self):
        for word in ('0', 'foo', '', '-1', '²', '٣'):
            found = vlan._asked(NIC, word)
            self.assertEqual(0, found.vlan, word)
        self.assertEqual(211, vlan._asked(NIC, '211').vlan)

    def test_not_allowed(self):
        found = self.judged(allowed=frozenset({200}))
        self.assertIs(State.WRONG, found.state)
        self.assertIn('allowed_vlans', found.detail)
        found = self.judged(
            allowed=frozenset({100}), tagged=frozenset({300, 100})
        )
        self.assertIn('VLAN 300', found.detail)

    def test_switch_that_it_does_not_find(self):
        wanted = vlans.Wanted(
            Purpose.PROVISIONING,
            dataclasses.replace(NIC, switch_id=''),
            SETTING,
            vlan=100,
        )
        checks = {one.check: one.state for one in vlans.judge([wanted])}
        self.assertIs(State.WRONG, checks['link-information'])

    def test_as_a_network(self):
        wanted = vlans.Wanted(Purpose.PROVISIONING, NIC, SETTING, vlan=100)
        self.assertEqual(100, wanted.network.vlan_on(NIC.physical_network))
        self.assertIsNone(dataclasses.replace(wanted, vlan=None).network)
