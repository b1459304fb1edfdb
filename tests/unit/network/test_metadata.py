# SPDX-License-Identifier: Apache-2.0
"""network_data.json as Nova writes it, completed."""

import copy

from oslotest import base

from zsbm_ironic.network import metadata, wiring

ONE, OTHER, SUB = (f'52:54:00:00:00:0{number}' for number in (1, 2, 9))
NETWORK = wiring.Network('net-b', 'vpc-b', mtu=1400)
BOND = wiring.Bond('pg', 'vif-1', ONE, 'active-backup', (ONE, OTHER))
SUBPORT = wiring.Subport(
    'vif-1',
    'vif-2',
    201,
    SUB,
    NETWORK,
    (
        wiring.Address(
            '10.0.2.17', 24, 'sub-b', (('198.51.100.0/25', '10.0.2.2'),)
        ),
    ),
)


def as_nova(**link):
    return {
        'links': [
            {
                'id': 'tap1',
                'vif_id': 'vif-1',
                'type': 'phy',
                'ethernet_mac_address': ONE,
                'mtu': 1500,
                **link,
            }
        ],
        'networks': [{'id': 'network0', 'link': 'tap1', 'type': 'ipv4_dhcp'}],
        'services': [],
    }


class CompleteTest(base.BaseTestCase):
    def test_nothing_is_missing(self):
        data = as_nova()
        self.assertEqual(data, metadata.complete(data))

    def test_what_is_given_stays_as_it_is(self):
        data = as_nova()
        before = copy.deepcopy(data)
        metadata.complete(data, [BOND], [SUBPORT])
        self.assertEqual(before, data)

    def test_subport_is_a_vlan_of_its_parent(self):
        made = metadata.complete(as_nova(), subports=[SUBPORT])
        self.assertEqual(
            {
                'id': 'tap1.201',
                'type': 'vlan',
                'vif_id': 'vif-2',
                'vlan_id': 201,
                'vlan_link': 'tap1',
                'vlan_mac_address': SUB,
                'ethernet_mac_address': SUB,
                'mtu': 1400,
            },
            made['links'][1],
        )
        network = made['networks'][1]
        self.assertEqual('ipv4', network['type'])
        self.assertEqual('255.255.255.0', network['netmask'])
        # One way to the world is enough.
        (route,) = network['routes']
        self.assertEqual('255.255.255.128', route['netmask'])

    def test_a_file_of_another_format_stays_as_it_is(self):
        for odd in (
            {'links': ['x']},
            {'links': None},
            {'links': {'tap1': {}}},
            {'links': [{'vif_id': 'vif-1'}]},
            {'links': [{'id': ['tap1'], 'vif_id': 'vif-1'}]},
            {'links': as_nova()['links'], 'networks': 'x'},
        ):
            self.assertEqual(odd, metadata.complete(odd, [BOND], [SUBPORT]))

    def test_completing_again_changes_nothing(self):
        once = metadata.complete(as_nova(), [BOND], [SUBPORT])
        self.assertEqual(once, metadata.complete(once, [BOND], [SUBPORT]))

    def test_subport_of_another_server(self):
        data = as_nova(vif_id='vif-7')
        self.assertEqual(data, metadata.complete(data, subports=[SUBPORT]))

    def test_address_of_the_sixth_version(self):
        subport = wiring.Subport(
            'vif-1',
            'vif-2',
            201,
            SUB,
            NETWORK,
            (wiring.Address('2001:db8::7', 64, 'sub-b'),),
        )
        network = metadata.complete(as_nova(), subports=[subport])['networks'][
            1
        ]
        self.assertEqual('ipv6', network['type'])
        self.assertEqual('ffff:ffff:ffff:ffff::', network['netmask'])


class BondTest(base.BaseTestCase):
    def completed(self, data, **properties):
        bond = wiring.Bond(
            'pg', 'vif-1', ONE, '802.3ad', (ONE, OTHER), properties
        )
        made = metadata.complete(data, [bond])
        return {link['id']: link for link in made['links']}

    def test_mode_and_options_are_told(self):
        data = as_nova(type='bond', bond_links=['a', 'b'])
        data['links'] += [
            {'id': name, 'type': 'phy', 'ethernet_mac_address': mac}
            for name, mac in (('a', ONE), ('b', OTHER))
        ]
        links = self.completed(data, miimon='100', bond_xmit_hash_policy='2')
        self.assertEqual('802.3ad', links['tap1']['bond_mode'])
        self.assertEqual('100', links['tap1']['bond_miimon'])
        self.assertEqual('2', links['tap1']['bond_xmit_hash_policy'])
        self.assertEqual(['a', 'b'], links['tap1']['bond_links'])
        self.assertEqual(1500, links['b']['mtu'])

    def test_links_that_nobody_told_of(self):
        links = self.completed(as_nova())
        self.assertEqual('bond', links['tap1']['type'])
        members = links['tap1']['bond_links']
        self.assertEqual(
            [ONE, OTHER],
            [links[name]['ethernet_mac_address'] for name in members],
        )
