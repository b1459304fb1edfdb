# SPDX-License-Identifier: Apache-2.0
"""Miswirings as a real switch tells them: Open vSwitch behind a real sshd."""

import dataclasses

from ironic_python_agent import config as _agent_options  # noqa: F401
from ironic_python_agent import netutils
from oslotest import base

from tests.functional import netboot_bench, switch_bench
from tests.functional.switch_bench import OTHER_PORT, OTHER_VLAN, PORT, VLAN
from zsbm_ironic.lab import network
from zsbm_ironic.lab.cloud import fabric
from zsbm_ironic.network import readback, sight, wiring
from zsbm_ironic.network.finding import Means, State

TIMEOUT_S = 10


def vlan(number, mtu=1500):
    return wiring.Network(
        'id', 'vpc-a', (wiring.Segment('vlan', 'physnet1', number),), mtu
    )


class ReadbackTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.bench = self.useFixture(switch_bench.SwitchBench())
        self.nic = wiring.Nic(
            self.bench.mac(self.bench.one),
            '11111111-0000-4000-8000-000000000001',
            'web-3',
            switch='tor',
            port_id=PORT,
            physical_network='physnet1',
        )

    def look(self, *expected, **options):
        ask = readback.Asking((self.bench.file(**options),), None, TIMEOUT_S)
        return self.bench.near(lambda: readback.look(expected, ask))

    def says(self, mac):
        """Let a computer be heard, and wait until the switch knows."""
        one, other = self.bench.one, self.bench.other
        self.bench.say(one if mac == self.nic.address else other)
        netboot_bench.wait_for(lambda: self.bench.knows(mac))

    def wrong(self, *expected, **options):
        found = {
            one.check: one
            for one in self.look(*expected, **options)
            if one.state is State.WRONG
        }
        self.assertEqual(
            {Means.SWITCH}, {one.means for one in found.values()} or {'switch'}
        )
        return found

    def expected(self, network=None, **changes):
        nic = dataclasses.replace(self.nic, **changes)
        return readback.Expected(nic, network)

    def test_a_right_wiring(self):
        self.says(self.nic.address)
        found = self.look(self.expected(vlan(VLAN)), self.expected())
        self.assertEqual({State.OK}, {one.state for one in found})

    def test_wrong_native_vlan(self):
        found = self.wrong(self.expected(vlan(OTHER_VLAN)))
        self.assertEqual(['native-vlan'], list(found))
        self.assertIn(f'VLAN {VLAN} ', found['native-vlan'].detail)

    def test_wrong_port(self):
        self.says(self.nic.address)
        found = self.wrong(self.expected(port_id=OTHER_PORT))
        self.assertEqual(['heard-elsewhere'], list(found))
        self.assertIn(f'port {PORT} ', found['heard-elsewhere'].detail)

    def test_swapped_cables(self):
        self.says(self.nic.address)
        other = self.bench.mac(self.bench.other)
        self.says(other)
        found = self.look(
            self.expected(port_id=OTHER_PORT), self.expected(address=other)
        )
        self.assertEqual(
            {self.nic.address, other},
            {one.about for one in found if one.check == 'heard-elsewhere'},
        )

    def test_port_that_is_not_there(self):
        found = self.wrong(self.expected(port_id='swp99'))
        self.assertIn('no port swp99', found['switch-port'].detail)

    def test_the_switch_refuses(self):
        found = self.wrong(
            self.expected(), key_file=None, use_keys='false', password='wrong'
        )
        self.assertIn('root', found['switch'].detail)

    def test_the_switch_is_down(self):
        found = self.wrong(self.expected(), port='2299')
        self.assertIn('2299', found['switch'].detail)

    def test_no_such_switch(self):
        found = self.wrong(self.expected(switch='nowhere'))
        self.assertIn('nowhere', found['switch'].detail)

    def test_what_neutron_may_not_do_there(self):
        expected = self.expected(vlan(VLAN))
        entering = dataclasses.replace(
            self.expected(), to_enter=(vlan(100), vlan(VLAN))
        )
        for one in (expected, entering):
            found = self.wrong(one, ngs_allowed_vlans='1,100')
            self.assertIn(f'VLAN {VLAN} ', found['switch-allows'].detail)
        found = self.wrong(expected, ngs_allowed_ports=f'x,{OTHER_PORT}')
        self.assertIn('ngs_allowed_ports', found['switch-allows'].detail)
        allowed = {
            'ngs_allowed_vlans': f'1,{VLAN}',
            'ngs_allowed_ports': PORT,
        }
        self.assertEqual({}, self.wrong(expected, **allowed))

    def test_mtu(self):
        found = self.wrong(self.expected(vlan(VLAN, mtu=9000)))
        self.assertEqual(['mtu'], list(found))

    def test_carries_the_vlans_of_a_trunk(self):
        self.bench.switch.vsctl(
            *('set', 'port', PORT, 'vlan_mode=native-untagged'),
            f'trunks={VLAN},{OTHER_VLAN}',
        )
        expected = self.expected(vlan(VLAN))
        for tagged, checks in (({OTHER_VLAN}, []), ({299}, ['trunk-vlan'])):
            found = self.wrong(
                dataclasses.replace(expected, tagged=frozenset(tagged))
            )
            self.assertEqual(checks, list(found))

    def test_spanning_tree(self):
        """A port that is no edge port is told, and is a reason for silence."""
        bridge = fabric.BRIDGE
        self.assertNotIn('stp-delay', self.checks())
        self.bench.switch.vsctl('set', 'bridge', bridge, 'stp_enable=true')
        self.assertIn('stp-delay', self.checks())
        silent = dataclasses.replace(self.nic, address='52:54:00:00:00:99')
        ask = readback.Asking((self.bench.file(),), None, TIMEOUT_S)
        found = self.bench.near(
            lambda: readback.silent([readback.Expected(silent)], ask)
        )
        self.assertEqual(
            {'stp-delay', 'link'},
            {one.check for one in found if one.state is State.WRONG},
        )
        self.bench.switch.vsctl(
            'set', 'port', PORT, 'other_config:stp-enable=false'
        )
        self.assertNotIn('stp-delay', self.checks())

    def checks(self):
        return {one.check for one in self.look(self.expected())}

    def test_a_server_that_is_not_heard(self):
        silent = dataclasses.replace(self.nic, address='52:54:00:00:00:99')
        ask = readback.Asking((self.bench.file(),), None, TIMEOUT_S)
        (found,) = (
            one
            for one in self.bench.near(
                lambda: readback.silent([readback.Expected(silent)], ask)
            )
            if one.state is State.WRONG
        )
        self.assertEqual('link', found.check)

    def test_the_server_hears_what_the_switch_says(self):
        """LLDP, from the switch to what the ramdisk and the conductor read."""
        self.bench.switch.vsctl('set', 'interface', PORT, 'lldp:enable=true')
        heard = network.call(
            lambda: netutils.get_lldp_info(['eth0']), namespace=self.bench.one
        )
        said = sight.neighbour(
            (kind, value.hex()) for kind, value in heard['eth0']
        )
        self.assertIn(PORT, said.port_ids)
        seen = sight.Seen('eth0', self.nic.address, True, said)
        nic = dataclasses.replace(self.nic, switch_id=said.switch_id)
        (found,) = sight.judge([nic], sight.Told((seen,)))
        self.assertIs(State.OK, found.state)
        other = dataclasses.replace(nic, port_id=OTHER_PORT)
        (found,) = sight.judge([other], sight.Told((seen,)))
        self.assertIs(State.WRONG, found.state)
