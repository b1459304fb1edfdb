# SPDX-License-Identifier: Apache-2.0
"""Networks and bindings as openstacksdk reads them, and the wait for them."""

import openstack
from oslotest import base

from tests.functional import neutron_server
from zsbm_ironic.network import binding, exception, neutron, wiring
from zsbm_ironic.network.finding import State

VLAN = {
    'provider:network_type': 'vlan',
    'provider:physical_network': 'physnet1',
    'provider:segmentation_id': 100,
    'mtu': 1500,
}


class NeutronCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.useFixture(
            neutron_server.NeutronServer('198.51.100.0/24', [])
        )
        cloud = openstack.connection.Connection(
            auth_type='none', endpoint=self.server.url
        )
        self.addCleanup(cloud.close)
        self.client = cloud.network
        self.network = self.server.data['networks'][self.server.network]
        self.network.update(VLAN)


class Reading(NeutronCase):
    def test_network_with_one_segment(self):
        found = neutron.find_network(self.client, 'provisioning')
        self.assertEqual(
            wiring.Network(
                self.server.network,
                'provisioning',
                (wiring.Segment('vlan', 'physnet1', 100),),
                1500,
                leases=False,
                subnets=1,
                tells_all=False,
            ),
            found,
        )
        self.assertEqual(100, found.vlan_on('physnet1'))
        self.assertIsNone(found.vlan_on('physnet2'))

    def test_overlay_comes_before_the_vlan_that_it_is_led_into(self):
        self.server.data['segments'] = {
            str(number): {
                'id': str(number),
                'network_id': self.server.network,
                'network_type': kind,
                'physical_network': physical,
                'segmentation_id': number,
            }
            for kind, physical, number in (
                ('vlan', 'physnet1', 200),
                ('geneve', None, 7),
            )
        }
        found = neutron.find_network(self.client, self.server.network)
        self.assertTrue(found.is_overlay)
        self.assertTrue(found.tells_all)
        self.assertEqual(['geneve', 'vlan'], [s.kind for s in found.segments])
        self.assertEqual(200, found.vlan_on('physnet1'))

    def test_network_whose_segment_is_gone(self):
        for key in VLAN:
            self.network[key] = None
        found = neutron.find_network(self.client, 'provisioning')
        self.assertEqual((), found.segments)
        self.assertFalse(found.is_overlay)

    def test_no_network_and_two_of_a_name_are_none(self):
        self.assertIsNone(neutron.find_network(self.client, 'other'))
        twin = {**self.network, 'id': 'twin'}
        self.server.data['networks']['twin'] = twin
        self.assertIsNone(neutron.find_network(self.client, 'provisioning'))

    def test_trunk_with_one_subport(self):
        self.assertEqual((), neutron.subports(self.client, 'none'))
        ports = self.server.data['ports']
        ports['vif-1'] = {'id': 'vif-1', 'network_id': self.server.network}
        self.assertEqual((), neutron.subports(self.client, 'vif-1'))
        ports['vif-1']['trunk_details'] = {
            'trunk_id': 'trunk',
            'sub_ports': [
                {
                    'port_id': 'vif-2',
                    'segmentation_type': 'vlan',
                    'segmentation_id': 100,
                    'mac_address': '52:54:00:00:00:02',
                }
            ],
        }
        subnet = self.server.subnet
        subnet['host_routes'] = [
            {'destination': '203.0.113.0/24', 'nexthop': '198.51.100.9'}
        ]
        ports['vif-2'] = {
            'id': 'vif-2',
            'network_id': self.server.network,
            'mac_address': '52:54:00:00:00:02',
            'binding:vnic_type': 'baremetal',
            'fixed_ips': [
                {'subnet_id': subnet['id'], 'ip_address': '198.51.100.7'}
            ],
        }
        (found,) = neutron.subports(self.client, 'vif-1')
        self.assertEqual(('vif-1', 'vif-2'), (found.parent, found.vif))
        self.assertEqual(100, found.number)
        self.assertEqual(100, found.network.vlan_on('physnet1'))
        self.assertEqual(
            (
                wiring.Address(
                    '198.51.100.7',
                    24,
                    subnet['id'],
                    (('203.0.113.0/24', '198.51.100.9'),),
                ),
            ),
            found.addresses,
        )

    def test_agents_of_hosts_and_of_one_node(self):
        said = (
            ('Baremetal Node', 'node-1', False, {}),
            ('Baremetal Node', 'node-2', True, {}),
            (
                'OVN Controller agent',
                'vm-1',
                True,
                {'bridge-mappings': 'physnet1:br-ex,physnet2:br-b'},
            ),
        )
        self.server.data['agents'] = {
            host: {
                'id': host,
                'agent_type': kind,
                'host': host,
                'alive': alive,
                'configurations': configurations,
            }
            for kind, host, alive, configurations in said
        }
        (node,) = neutron.node_agents(self.client, 'node-1')
        (chassis,) = neutron.chassis(self.client)
        self.assertFalse(node.alive)
        self.assertEqual({'physnet1', 'physnet2'}, chassis.mappings)

    def test_ranges_where_the_extension_is_loaded(self):
        self.assertIsNone(neutron.vlan_ranges(self.client))
        self.server.data['network_segment_ranges'] = {}
        self.server.data['network-segment-ranges'] = {}
        self.assertEqual((), neutron.vlan_ranges(self.client))


class Waiting(NeutronCase):
    def setUp(self):
        super().setUp()
        self.port = {
            'id': 'vif-1',
            'network_id': self.server.network,
            'status': 'DOWN',
            'binding:vif_type': 'unbound',
            'binding:host_id': 'node-1',
        }
        self.server.data['ports']['vif-1'] = self.port
        self.now = 0.0
        self.pauses = 0

    def wait(self, sleep=None):
        def pause(seconds):
            self.now += seconds
            self.pauses += 1
            if sleep:
                sleep()

        binding.wait(
            self.client,
            ['vif-1'],
            limit_s=5,
            explain=lambda: 'The switch is off.',
            sleep=pause,
            clock=lambda: self.now,
        )

    def test_until_it_is_bound_and_active(self):
        states = iter(
            (
                {'binding:vif_type': 'other'},
                {'status': 'ACTIVE'},
            )
        )
        self.wait(lambda: self.port.update(next(states)))
        self.assertEqual(2, self.pauses)

    def test_a_refused_port_is_told_at_once(self):
        self.port['binding:vif_type'] = 'binding_failed'
        error = self.assertRaises(exception.PortNotBound, self.wait)
        self.assertEqual(0, self.pauses)
        self.assertIn('no mechanism driver', str(error))
        self.assertIn('The switch is off.', str(error))

    def judged(self, needed=True):
        return binding.judge(
            '52:54:00:00:00:01',
            'vif-1',
            neutron.binding(self.client, 'vif-1'),
            needed=needed,
        )

    def test_how_a_port_is_now(self):
        found = self.judged()
        self.assertIs(State.WRONG, found.state)
        self.assertIn('it is down and unbound', found.detail)
        self.assertIs(State.UNKNOWN, self.judged(needed=False).state)
        self.port.update({'binding:vif_type': 'other', 'status': 'ACTIVE'})
        self.assertIs(State.OK, self.judged().state)
        self.port['binding:vif_type'] = 'binding_failed'
        self.assertIn('no mechanism driver', self.judged().detail)
        del self.server.data['ports']['vif-1']
        self.assertIn('it is gone', self.judged().detail)

    def test_a_port_that_is_gone(self):
        del self.server.data['ports']['vif-1']
        error = self.assertRaises(exception.PortNotBound, self.wait)
        self.assertIn('gone', str(error))

    def test_a_port_that_nobody_binds(self):
        error = self.assertRaises(exception.PortNotBound, self.wait)
        self.assertIn('after 5 s it is down and unbound', str(error))
