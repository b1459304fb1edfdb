# SPDX-License-Identifier: Apache-2.0
"""What a server saw, held against where its cables are said to end."""

import dataclasses
import shlex
import struct

from oslotest import base

from tests.unit.network import test_plan
from zsbm_ironic.network import sight, wiring
from zsbm_ironic.network.finding import State
from zsbm_ironic.ramdisk import version

NIC = test_plan.NIC
OTHER = dataclasses.replace(
    NIC, address='52:54:00:00:00:02', uuid='other', port_id='swp2'
)
NETWORK = test_plan.PROVISIONING


def lldp(port='swp1', *, mac=NIC.switch_id, system='', vlan=None, frame=None):
    """Return an LLDP frame as the agent reports it."""
    tlvs = [
        (1, '04' + mac.replace(':', '')),
        (2, '05' + port.encode().hex()),
        (3, '0078'),
    ]
    if system:
        tlvs.append((5, system.encode().hex()))
    if vlan is not None:
        tlvs.append((127, '0080c201' + struct.pack('!H', vlan).hex()))
    if frame is not None:
        tlvs.append((127, '00120f04' + struct.pack('!H', frame).hex()))
    return tlvs


def nic(lldp_of=None, address=NIC.address, carrier=True):
    return {
        'name': 'eth0',
        'mac_address': address.upper(),
        'has_carrier': carrier,
        'lldp': lldp_of,
    }


class SightTest(base.BaseTestCase):
    def judge(self, *seen, nics=(NIC,), network=NETWORK, **packets):
        told = {'interfaces': list(seen), **packets}
        return sight.judge(nics, sight.read(told), network=network)

    def wrong(self, *seen, **more):
        return {
            one.check: one
            for one in self.judge(*seen, **more)
            if one.state is State.WRONG
        }

    def test_where_it_is_said_to_be(self):
        frame = lldp(vlan=100, frame=1522, system='tor')
        found = self.judge(nic(frame), tried=1500, largest=1500)
        self.assertEqual({State.OK}, {one.state for one in found})

    def test_port_known_by_its_description_alone(self):
        frame = [
            (1, '04525400 5aff01'.replace(' ', '')),
            (2, '0731'),
            (4, b'swp1'.hex()),
        ]
        self.assertEqual({}, self.wrong(nic(frame)))

    def test_wrong_port(self):
        found = self.wrong(nic(lldp('swp9')))['switch-port']
        self.assertIn('port swp1 of switch tor', found.detail)
        self.assertIn('swp9', found.detail)
        self.assertIn('port_id=swp9', found.remedy)

    def test_a_long_and_a_short_name_of_a_port(self):
        cabled = dataclasses.replace(NIC, port_id='Gi1/0/7')
        frame = lldp('GigabitEthernet1/0/7')
        self.assertEqual({}, self.wrong(nic(frame), nics=(cabled,)))
        frame = lldp('GigabitEthernet1/0/8')
        self.assertIn('switch-port', self.wrong(nic(frame), nics=(cabled,)))

    def test_switch_that_tells_its_domain(self):
        cabled = dataclasses.replace(NIC, switch_id='')
        for system, checks in (
            ('tor', []),
            ('tor.dc1.example.org', []),
            ('tor2.dc1.example.org', ['switch-port']),
        ):
            frame = nic(lldp(system=system))
            found = self.wrong(frame, nics=(cabled,))
            self.assertEqual(checks, list(found), system)

    def test_switch_that_says_no_mac(self):
        frame = [(1, '0774' + b'or'.hex()), (2, '05' + b'swp1'.hex())]
        self.assertEqual({}, self.wrong(nic(frame)))

    def test_what_a_switch_says_cannot_be_more_than_a_word(self):
        frame = nic(lldp("swp9'; reboot #"))
        bare = dataclasses.replace(NIC, switch='', port_id='')
        for cabled in (NIC, bare):
            (found,) = self.judge(frame, nics=(cabled,), network=None)
            words = shlex.split(found.remedy)
            self.assertIn("port_id=swp9'; reboot #.", words)

    def test_a_long_text_is_cut(self):
        said = sight.neighbour([(2, '05' + '41' * 500), (4, '42' * 500)])
        self.assertEqual([255, 255], [len(port) for port in said.port_ids])

    def test_port_of_that_name_at_another_switch(self):
        frame = lldp(mac='52:54:00:5a:ff:02')
        self.assertEqual(['switch-port'], list(self.wrong(nic(frame))))

    def test_swapped_cables(self):
        found = self.judge(
            nic(lldp('swp2')),
            nic(lldp('swp1'), OTHER.address),
            nics=(NIC, OTHER),
        )
        self.assertEqual(
            [NIC.address, OTHER.address],
            [one.about for one in found if one.check == 'swapped-cables'],
        )

    def test_no_link(self):
        self.assertIn('link', self.wrong(nic(carrier=False)))

    def test_a_nic_that_nobody_boots_by_may_have_no_link(self):
        spare = dataclasses.replace(NIC, boots=False)
        self.assertEqual({}, self.wrong(nic(carrier=False), nics=(spare,)))

    def test_address_that_the_server_does_not_have(self):
        found = self.wrong(nic(address=OTHER.address))
        self.assertEqual(['not-of-this-server'], list(found))

    def test_of_a_link_that_nobody_looked_at_nothing_is_known(self):
        told = {'name': 'NIC.1', 'mac_address': NIC.address}
        self.assertEqual({}, self.wrong(told))

    def test_a_bmc_may_not_tell_of_every_nic(self):
        told = {'name': 'NIC.1', 'mac_address': OTHER.address}
        (found,) = self.judge(told)
        self.assertEqual('not-of-this-server', found.check)
        self.assertIs(State.UNKNOWN, found.state)

    def test_inspection(self):
        told = sight.inspected(
            {
                'inventory': {'interfaces': [nic(address=NIC.address)]},
                'plugin_data': {
                    'lldp_raw': {'eth0': lldp()},
                    version.NETWORK_KEY: {'tried': 1500, 'largest': 1400},
                },
            }
        )
        self.assertEqual((1500, 1400), (told.tried, told.largest))
        self.assertEqual(('swp1',), told.nics[0].neighbour.port_ids)

    def test_an_inspection_may_say_anything(self):
        for odd in (None, [], 'x', 7, {'x': 7}, [None, 7], {'eth0': 7}):
            for data in (
                odd,
                {'inventory': odd, 'plugin_data': odd},
                {'inventory': {'interfaces': odd}},
                {
                    'inventory': {'interfaces': [nic(), odd, {'name': []}]},
                    'plugin_data': {
                        'lldp_raw': odd,
                        version.NETWORK_KEY: odd,
                    },
                },
            ):
                told = sight.inspected(data)
                self.assertIsNone(told.tried)
                self.assertEqual({}, self.by_check(told))

    def by_check(self, told):
        return {
            one.check: one
            for one in sight.judge((NIC,), told)
            if one.state is State.WRONG
        }

    def test_wrong_native_vlan(self):
        found = self.wrong(nic(lldp(vlan=1)))['native-vlan']
        self.assertIn('VLAN 1 ', found.detail)
        self.assertIn('VLAN 100', found.detail)

    def test_switch_that_passes_less_than_the_network_has(self):
        found = self.wrong(nic(lldp(frame=1422)))['mtu']
        self.assertIn('--mtu 1400 ', found.remedy)

    def test_switches_count_a_frame_of_1500_bytes_in_many_ways(self):
        for frame in (1500, 1514, 1518, 1522, 2000, 9216):
            self.assertEqual({}, self.wrong(nic(lldp(frame=frame))), frame)

    def test_packets_that_do_not_come_back(self):
        found = self.wrong(nic(lldp()), tried=1500, largest=1400)['mtu']
        self.assertIn('--mtu 1400', found.remedy)

    def test_nothing_is_known_of_packets_that_nobody_answers(self):
        found = self.judge(nic(lldp()), tried=1500, largest=None)[-1]
        self.assertEqual(('mtu', State.UNKNOWN), (found.check, found.state))

    def test_silence_is_no_error(self):
        self.assertEqual({}, self.wrong(nic()))

    def test_port_that_says_no_switch_learns_it(self):
        bare = dataclasses.replace(NIC, switch='', port_id='')
        (found,) = self.judge(nic(lldp()), nics=(bare,))
        self.assertIs(State.UNKNOWN, found.state)
        self.assertIn('port_id=swp1', found.remedy)

    def test_a_ramdisk_may_say_anything(self):
        for said in (
            None,
            7,
            [None, 7, 'x', {}, {'mac_address': None}],
            [{'mac_address': 'x', 'lldp': 7}],
            [{'mac_address': 'x', 'lldp': [None, (1,), ('x', 'y')]}],
            [{'mac_address': 'x', 'lldp': [(2, 'zz'), (2, None)]}],
        ):
            for told in (said, {'interfaces': said, 'largest': said}):
                found = sight.read(told)
                self.assertIn(found.largest, (None, 7))
                self.assertTrue(
                    all(one.neighbour is None for one in found.nics)
                )
        for tlvs in (
            [(127, '0080c201')],
            [(2, '')],
            [(2, '05' + 'ff' * 300)],
            [(2, b'\x05swp1\n[x]'.hex())],
        ):
            found = sight.neighbour(tlvs)
            for port in (found and found.port_ids) or ():
                self.assertTrue(port.isprintable(), port)

    def test_no_vlan_of_an_overlay_before_it_is_bound(self):
        overlay = wiring.Network(
            'c1', 'vpc-o', (wiring.Segment('geneve', '', 7),), mtu=1442
        )
        self.assertEqual({}, self.wrong(nic(lldp(vlan=5)), network=overlay))

    def test_a_server_that_told_nothing_is_not_judged(self):
        self.assertEqual([], self.judge())
