# SPDX-License-Identifier: Apache-2.0
"""What switches answer, held against what is set; a real one is elsewhere."""

import contextlib
import dataclasses

from oslotest import base

from tests.unit.network import test_plan
from zsbm_ironic.network import exception, readback, wiring
from zsbm_ironic.network.finding import State
from zsbm_ironic.network.switches import base as switches
from zsbm_ironic.network.switches import settings

NIC = dataclasses.replace(test_plan.NIC, port_id='Ethernet1/7')
MATE = dataclasses.replace(
    NIC, address='52:54:00:00:00:02', uuid='mate', port_id='Ethernet1/8'
)
ELSEWHERE = dataclasses.replace(
    MATE, switch='tor-2', switch_id='52:54:00:5a:ff:02'
)


class Switch:
    """A switch that has every port in VLAN 100.

    :param heard: name of the port that all addresses are heard at.
    """

    def __init__(self, heard=None, **state):
        self._heard = heard
        self._state = {'exists': True, 'up': True, 'admin_up': True, **state}

    def port_state(self, port_id):
        return switches.PortState(port_id, **{'vlan': 100, **self._state})

    def where_is(self, _mac):
        if self._heard is None:
            return ()
        return (switches.Heard(self._heard, 100, None),)

    def same_port(self, one, other):
        return switches.same_port(one, other)


class Ask:
    """Logs in to a switch, or does not.

    :param switch: or the error of whoever asks.
    """

    def __init__(self, switch):
        self._switch = switch

    def settings_of(self, nic):
        return settings.SwitchSettings(
            *(nic.switch, 'ml2_conf.ini', 'netmiko_juniper', '192.0.2.1', 22),
            *('neutron', 'pw', '', False, None, None, None, {}, None, None),
        )

    def log_in(self, _settings):
        if isinstance(self._switch, Exception):
            raise self._switch
        return contextlib.nullcontext(self._switch)


class ReadbackCase(base.BaseTestCase):
    def look(self, switch, network=None, mates=(), nic=NIC):
        expected = readback.Expected(nic, network, mates=tuple(mates))
        return {
            one.check: one for one in readback.look([expected], Ask(switch))
        }


class SwitchTest(ReadbackCase):
    UNKNOWN = (
        exception.SwitchPlatformUnknown(
            **exception.SwitchPlatformUnknown.EXAMPLE
        ),
        exception.SwitchAnswerUnclear(**exception.SwitchAnswerUnclear.EXAMPLE),
    )

    def test_of_a_kind_that_nobody_can_ask_nothing_is_known(self):
        for error in self.UNKNOWN:
            found = self.look(error, test_plan.PROVISIONING)['switch']
            self.assertIs(State.UNKNOWN, found.state)
            self.assertIn('by hand', found.remedy)
            self.assertIn(NIC.port_id, found.remedy)

    def test_one_that_is_down_is_wrong(self):
        error = exception.SwitchUnreachable(
            **exception.SwitchUnreachable.EXAMPLE
        )
        self.assertIs(State.WRONG, self.look(error)['switch'].state)

    def test_one_that_nobody_can_ask_is_no_reason_for_silence(self):
        for error in self.UNKNOWN:
            (found,) = readback.silent([readback.Expected(NIC)], Ask(error))
            self.assertIs(State.UNKNOWN, found.state)

    def test_a_server_that_no_switch_hears(self):
        found = readback.silent([readback.Expected(NIC)], Ask(Switch()))
        self.assertEqual('link', found[-1].check)


class OverlayTest(ReadbackCase):
    LED = dataclasses.replace(
        test_plan.OVERLAY,
        mtu=None,
        segments=(
            *test_plan.OVERLAY.segments,
            wiring.Segment('vlan', 'physnet1', 100),
        ),
    )

    def test_one_that_is_led_to_the_port(self):
        found = self.look(Switch(), self.LED)['native-vlan']
        self.assertIs(State.OK, found.state)

    def test_one_that_nobody_leads_there(self):
        for network in (
            test_plan.OVERLAY,
            dataclasses.replace(
                self.LED,
                segments=(
                    *test_plan.OVERLAY.segments,
                    wiring.Segment('vlan', 'physnet2', 100),
                ),
            ),
        ):
            found = self.look(Switch(), network)['native-vlan']
            self.assertIs(State.WRONG, found.state)
            self.assertIn('baremetal-l2vni', found.remedy)

    def test_where_neutron_does_not_tell(self):
        network = dataclasses.replace(test_plan.OVERLAY, tells_all=False)
        found = self.look(Switch(), network)['native-vlan']
        self.assertIs(State.UNKNOWN, found.state)

    def test_flat_is_whatever_the_switch_calls_it(self):
        flat = wiring.Network('d1', 'flat', (wiring.Segment('flat', 'p1'),))
        self.assertNotIn('native-vlan', self.look(Switch(), flat))


class ElsewhereTest(ReadbackCase):
    def heard(self, port_id, *mates):
        found = self.look(Switch(port_id), mates=mates)
        return found.get('heard-elsewhere')

    def test_at_its_own_port(self):
        self.assertIsNone(self.heard('Eth1/7'))

    def test_at_another_one(self):
        found = self.heard('Eth1/9')
        self.assertIs(State.WRONG, found.state)
        self.assertIn('port_id=Eth1/9', found.remedy)

    def test_what_a_switch_says_cannot_be_more_than_a_word(self):
        found = self.heard('Eth1/9; reboot')
        self.assertIn("port_id='Eth1/9; reboot'", found.remedy)

    def test_a_bond_sends_by_any_of_its_ports(self):
        self.assertIsNone(self.heard('Eth1/8', MATE))
        self.assertIs(State.WRONG, self.heard('Eth1/9', MATE).state)

    def test_ports_that_the_switch_has_for_one(self):
        for name in ('Po1', 'port-channel10', 'Port-Channel1', 'bond0'):
            self.assertIs(State.UNKNOWN, self.heard(name, MATE).state)
            self.assertIs(State.WRONG, self.heard(name).state)
        self.assertIs(State.WRONG, self.heard('Port1', MATE).state)

    def test_a_bond_with_two_switches(self):
        # Of the port of that name at the other switch this one knows nothing.
        for name in ('Eth1/48', 'Eth1/8'):
            found = self.heard(name, ELSEWHERE)
            self.assertIs(State.UNKNOWN, found.state)
