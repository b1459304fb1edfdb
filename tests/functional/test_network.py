# SPDX-License-Identifier: Apache-2.0
"""Network interfaces zsbm-flat and zsbm-vpc in a real Ironic.

Neutron is a stand-in (see neutron_server) that binds ports as it is told to;
with the real one it is `tests.e2e.cloud`.
"""

import json
import pathlib

import fixtures
from openstack import exceptions

from tests import bmcs
from tests.functional import (
    ironic_service,
    neutron_server,
    test_netboot_ironic,
)
from zsbm_ironic.common import process

MAC = test_netboot_ironic.MAC
LINK = {
    'switch_id': '52:54:00:5a:ff:01',
    'switch_info': 'tor',
    'port_id': 'swp1',
}


class NetworkCase(test_netboot_ironic.TestCase):
    subnets = ('cidr:198.51.100.0/24',)

    @classmethod
    def more_options(cls):
        addresses = [f'198.51.100.{last}' for last in range(200, 250)]
        cls.neutron = neutron_server.NeutronServer(
            '198.51.100.0/24', addresses
        )
        cls.neutron.setUp()
        cls.addClassCleanup(cls.neutron.cleanUp)
        cls.neutron.data['networks'][cls.neutron.network].update(
            {
                'provider:network_type': 'vlan',
                'provider:physical_network': 'physnet1',
                'provider:segmentation_id': 100,
                'mtu': 1500,
            }
        )
        return {
            'DEFAULT': {
                'enabled_network_interfaces': 'noop,neutron,'
                'zsbm-flat,zsbm-vpc',
            },
            'agent': {
                'neutron_agent_max_attempts': '2',
                'neutron_agent_status_retry_interval': '1',
            },
            'neutron': {
                'auth_type': 'none',
                'endpoint_override': cls.neutron.url,
                'cleaning_network': cls.neutron.network,
                'provisioning_network': cls.neutron.network,
                'inspection_network': cls.neutron.network,
            },
            'zsbm_network': {'binding_timeout_s': '5'},
        }

    def setUp(self):
        super().setUp()
        self.neutron.binding = neutron_server.BOUND
        self.neutron.data['ports'].clear()
        self.neutron.data['agents'] = {}

    def wired(self, interface='zsbm-vpc', mac=MAC, link=None, **port):
        """Return a node whose port is at a switch."""
        node = self.node(network_interface=interface, mac=mac)
        (found,) = self.api.ports(node=node)
        self.api.update_port(
            found.id,
            local_link_connection=LINK if link is None else link,
            physical_network=port.get('physical_network', 'physnet1'),
        )
        return node

    def findings(self, node, **arguments):
        answer = self.api.call_node_vendor_passthru(
            node, 'GET', 'network_check', arguments or None
        )
        return answer.json()['findings']

    def wrong(self, node, **arguments):
        return {
            one['check']: one
            for one in self.findings(node, **arguments)
            if one['state'] == 'wrong'
        }

    def inspection_fails(self, node):
        """Try an inspection; return the last line of its history."""
        self.api.set_node_provision_state(node, 'inspect')
        self.wait_for(node, 'inspect failed')
        return self.history(node)[-1]


class TestNetwork(NetworkCase):
    def test_a_right_wiring_is_valid_and_is_inspected(self):
        node = self.wired()
        self.assertEqual({}, self.wrong(node))
        valid = self.api.validate_node(node, required=())['network']
        self.assertTrue(valid.result)
        self.inspect(node)
        (vif,) = self.neutron.ports
        self.assertEqual(
            [LINK], vif['binding:profile']['local_link_information']
        )
        self.abort(node)
        self.assertEqual([], self.neutron.ports)

    def test_what_is_wrong_is_said_before_anything_is_touched(self):
        node = self.wired(physical_network='physnet2')
        found = self.wrong(node)
        self.assertEqual(['physical-network'], list(found))
        network = self.api.validate_node(node, required=())['network']
        self.assertFalse(network.result)
        self.assertIn('physnet2', network.reason)
        error = self.inspection_fails(node)
        self.assertIn('physical-network', error)
        self.assertEqual([], self.neutron.ports)

    def test_port_of_another_node(self):
        other = self.wired(mac=test_netboot_ironic.OTHER)
        node = self.wired()
        found = self.wrong(node)['port-of-another-node']
        self.assertIn(test_netboot_ironic.OTHER, found['detail'])
        self.assertIn('port-of-another-node', self.wrong(other))

    def test_port_that_says_no_switch(self):
        node = self.wired(link={})
        self.assertIn('link-information', self.wrong(node))
        flat = self.wired('zsbm-flat', test_netboot_ironic.OTHER, {})
        self.assertEqual({}, self.wrong(flat))

    def test_a_port_that_nobody_binds_fails_alike_with_upstreams(self):
        self.neutron.binding = {
            'binding:vif_type': 'binding_failed',
            'status': 'DOWN',
        }
        error = self.inspection_fails(self.wired())
        self.assertIn('is not bound: no mechanism driver', error)
        self.assertEqual([], self.neutron.ports)
        upstreams = self.wired('neutron', test_netboot_ironic.OTHER)
        error = self.inspection_fails(upstreams)
        self.assertIn('failed to reach status ACTIVE', error)

    def test_a_port_that_stays_unbound(self):
        self.neutron.binding = {'binding:vif_type': 'unbound'}
        error = self.inspection_fails(self.wired())
        self.assertIn('after 5 s', error)
        self.assertEqual([], self.neutron.ports)

    def test_a_node_that_need_not_be_bound(self):
        self.neutron.binding = {'binding:vif_type': 'binding_failed'}
        node = self.wired()
        info = self.api.get_node(node).driver_info
        self.api.update_node(
            node,
            driver_info={
                **info,
                'bmc_password': bmcs.PASSWORD,
                'fail_on_binding_failure': False,
            },
        )
        self.inspect(node)
        self.abort(node)

    def test_the_agent_of_the_node_is_silent(self):
        node = self.wired()
        self.neutron.data['agents']['a'] = {
            'id': 'a',
            'agent_type': 'Baremetal Node',
            'host': node,
            'alive': False,
        }
        self.assertIn('node-agent', self.wrong(node))

    def test_a_network_that_the_node_is_not_in_yet(self):
        node = self.wired()
        self.assertEqual(
            ['network'], list(self.wrong(node, network='nowhere'))
        )

    def test_other_network_interfaces_do_not_check(self):
        node = self.node(network_interface='noop')
        error = self.assertRaises(
            exceptions.BadRequestException, self.findings, node
        )
        self.assertIn('zsbm-vpc', str(error))

    def test_the_command_tells_by_its_status(self):
        node = self.wired(physical_network='physnet2')
        done = process.run(
            [
                str(ironic_service.BIN / 'openstack'),
                *('baremetal', 'node', 'network', 'check', node),
                *('-f', 'json'),
            ],
            timeout_s=60,
            check=False,
            env={
                **ironic_service.environment(),
                'OS_AUTH_TYPE': 'none',
                'OS_ENDPOINT': self.ironic.url,
            },
        )
        self.assertEqual(1, done.returncode, done.stderr)
        first = json.loads(done.stdout)[0]
        self.assertEqual(
            ('wrong', 'physical-network', 'plan'),
            (first['State'], first['Check'], first['By']),
        )
        self.assertIn('--physical-network physnet1', first['Remedy'])


class TestSwitchSettings(NetworkCase):
    @classmethod
    def more_options(cls):
        options = super().more_options()
        folder = fixtures.TempDir()
        folder.setUp()
        cls.addClassCleanup(folder.cleanUp)
        path = pathlib.Path(folder.path, 'switches.ini')
        path.write_text(
            '[genericswitch:tor]\n'
            'device_type = netmiko_ovs_linux\n'
            f'ip = {bmcs.ADDRESS}\n'
            f'port = {bmcs.free_port()}\n'
            'username = reader\n'
            'password = secret\n'
            'ngs_allowed_vlans = 1,200\n'
        )
        options['zsbm_network']['switch_settings'] = str(path)
        return options

    def test_a_vlan_that_the_switch_is_not_allowed(self):
        node = self.wired()
        found = self.wrong(node)
        self.assertIn('VLAN 100 ', found['switch-allows']['detail'])
        self.assertIn('switch-allows', self.inspection_fails(node))
        self.assertEqual([], self.neutron.ports)
        wanted = self.neutron.data['networks'][self.neutron.network]
        wanted['provider:segmentation_id'] = 200
        self.addCleanup(wanted.update, {'provider:segmentation_id': 100})
        # Nobody answers at its address, and that is another matter.
        self.assertEqual(['switch'], list(self.wrong(node)))
