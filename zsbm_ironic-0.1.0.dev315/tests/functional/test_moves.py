# SPDX-License-Identifier: Apache-2.0
"""Moves between `zsbm` and upstream's types, an ACTIVE node too."""

import requests

from tests import bmcs
from tests.functional import ironic_service

IMAGE = {
    'image_source': 'http://127.0.0.1:1/never-fetched.img',
    'image_checksum': 'a' * 64,
    'image_os_hash_algo': 'sha256',
    'image_os_hash_value': 'a' * 64,
}


class TestMoves(ironic_service.TestCase):
    def patch(self, node, reset=True, **values):
        """PATCH fields, with --reset-interfaces; return the answer."""
        return requests.patch(
            f'{self.ironic.url}/v1/nodes/{node}',
            params={'reset_interfaces': 'true'} if reset else {},
            json=[
                {'op': 'add', 'path': f'/{key}', 'value': value}
                for key, value in values.items()
            ],
            headers={'X-OpenStack-Ironic-API-Version': 'latest'},
            timeout=60,
        )

    def move(self, node, driver, **values):
        answer = self.patch(node, driver=driver, **values)
        self.assertEqual(200, answer.status_code, answer.text)
        found = self.api.get_node(node)
        self.assertEqual(driver, found.driver)
        return found

    def works(self, node, *states):
        """Drive its power; each state is asked for and reached."""
        for state in states:
            found = self.power(node, state)
            self.assertIsNone(found.last_error)
            self.assertEqual(state, found.power_state)

    def adopt(self, node):
        self.api.update_node(node, instance_info=IMAGE)
        self.api.create_port(node_uuid=node, address='52:54:00:00:00:02')
        self.api.set_node_provision_state(node, 'adopt')
        return self.wait_for(node, 'active')

    def ipmi_node(self, **values):
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        return self.enrol(
            'ipmi',
            {
                'ipmi_address': bmcs.ADDRESS,
                'ipmi_port': self.bmc.port,
                'ipmi_username': bmcs.USER,
                'ipmi_password': bmcs.PASSWORD,
                'ipmi_cipher_suite': 3,
            },
            **values,
        )

    def test_ipmi_and_back(self):
        node = self.ipmi_node()
        self.manage(node)
        self.works(node, 'power on')
        found = self.move(node, 'zsbm')
        self.assertEqual('zsbm', found.power_interface)
        # No detection and no bmc_* keys: what it has is what it speaks.
        self.works(node, 'power off', 'power on')
        self.move(node, 'ipmi')
        self.works(node, 'power off')

    def test_an_active_ipmi_node_keeps_its_instance(self):
        node = self.ipmi_node()
        self.manage(node)
        self.adopt(node)
        self.bmc.machine.power = 'on'
        del self.bmc.machine.actions[:]
        # Ironic lets no interface be named in this state.
        refused = self.patch(node, driver='zsbm', power_interface='zsbm')
        self.assertEqual(409, refused.status_code, refused.text)
        self.api.set_node_maintenance(node, 'moving')
        self.move(node, 'zsbm', power_interface='zsbm')
        self.api.unset_node_maintenance(node)
        found = self.api.get_node(node)
        self.assertEqual('active', found.provision_state)
        self.assertEqual(
            IMAGE['image_source'], found.instance_info['image_source']
        )
        # Nobody touched the server in between.
        self.assertEqual([], self.bmc.machine.actions)
        self.works(node, 'power off', 'power on')
        self.api.set_node_maintenance(node, 'moving back')
        self.move(node, 'ipmi')
        self.api.unset_node_maintenance(node)
        self.works(node, 'power off')
        self.assertEqual('active', self.api.get_node(node).provision_state)

    def test_zsbm_to_upstream_and_back_with_leftovers(self):
        bmc = self.useFixture(bmcs.PyghmiBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        self.manage(node)
        self.move(node, 'ipmi')
        self.works(node, 'power on')
        found = self.move(node, 'zsbm')
        self.assertIn('zsbm_bmc', found.driver_internal_info)
        self.works(node, 'power off')

    def test_redfish_and_back(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        self.manage(node)
        # The pin works for upstream's type as well.
        found = self.move(node, 'redfish')
        self.assertEqual('redfish', found.management_interface)
        self.works(node, 'power on')
        self.adopt(node)
        self.api.set_node_maintenance(node, 'moving')
        self.move(node, 'zsbm')
        self.api.unset_node_maintenance(node)
        self.works(node, 'power off')
        self.assertEqual('active', self.api.get_node(node).provision_state)

    def test_a_redfish_node_without_any_key_of_ours(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol(
            'redfish',
            {
                'redfish_address': f'https://{bmcs.ADDRESS}:{bmc.port}',
                'redfish_username': bmcs.USER,
                'redfish_password': bmcs.PASSWORD,
                'redfish_verify_ca': False,
            },
        )
        self.manage(node)
        self.move(node, 'zsbm')
        self.works(node, 'power on')

    def test_the_driver_alone_is_refused(self):
        node = self.ipmi_node()
        answer = self.patch(node, reset=False, driver='zsbm')
        self.assertEqual(400, answer.status_code)
