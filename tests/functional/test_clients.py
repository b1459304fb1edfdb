# SPDX-License-Identifier: Apache-2.0
"""Clients that know Ironic and not us, on an emulated server."""

import pathlib

import fixtures
import openstack

from tests import bmcs, life_cycle
from tests.ansible import play
from tests.functional import image_server, ironic_service, machine

NAME = 'web-3'
# Of sushy-tools' fake system.
TOLD_MAC = '00:5c:52:31:3a:9c'
OTHER_MAC = '52:54:00:00:00:01'
PROPERTIES = {'capabilities': 'boot_mode:bios'}


class ClientsTest(ironic_service.TestCase):
    options = {'agent': {'require_tls': 'false'}}

    def setUp(self):
        super().setUp()
        self.machine = self.useFixture(machine.Machine(self.ironic))
        images = self.useFixture(image_server.ImageServer())
        self.image = images.instance_info
        self.addCleanup(self.forget)

    def forget(self):
        """Take the node away that a failed test has left."""
        if self.api.find_node(NAME):
            self._delete(NAME)

    def test_openstacksdk(self):
        told = []
        life = life_cycle.Life(
            self.api,
            ironic_service.STATE_S,
            lambda verb, node: told.append((verb, self.machine.ramdisks)),
        )
        node = life.begin(
            {
                'name': NAME,
                'driver': 'zsbm',
                'driver_info': self.machine.bmc.driver_info(),
                'properties': PROPERTIES,
            },
            [machine.MAC],
        )
        life.live(node, self.image)
        life.end(node)
        self.assertIsNone(self.api.find_node(NAME))
        # Each that needs a ramdisk has booted one, and no other has.
        self.assertEqual(
            [
                ('manage', 0),
                ('provide', 0),
                ('active', 1),
                ('rebuild', 2),
                ('rescue', 3),
                ('unrescue', 3),
                ('deleted', 3),
                ('manage', 3),
            ],
            told,
        )

    def test_openstacksdk_is_told_what_is_wrong(self):
        life = life_cycle.Life(
            self.api, ironic_service.STATE_S, lambda verb, node: None
        )
        wrong = self.machine.bmc.driver_info(bmc_password='not-this-one')
        raised = self.assertRaises(
            openstack.exceptions.SDKException,
            life.begin,
            {'name': NAME, 'driver': 'zsbm', 'driver_info': wrong},
            [machine.MAC],
        )
        self.assertIn('bmc_password', str(raised))

    def test_modules_of_ansible(self):
        status, said = play.life_cycle(
            pathlib.Path(self.useFixture(fixtures.TempDir()).path),
            self.ironic.url,
            {
                'node': {
                    'name': NAME,
                    'driver_info': self.machine.bmc.driver_info(),
                    'properties': PROPERTIES,
                },
                'nics': [machine.MAC],
                'mac': machine.MAC,
                'image': self.image,
                'limit_s': ironic_service.STATE_S,
            },
        )
        self.assertEqual(0, status, said)
        self.assertEqual(1, self.machine.ramdisks)
        self.assertIsNone(self.api.find_node(NAME))


class RegisterTest(ironic_service.TestCase):
    """A BMC that tells its MACs, and a client that creates ports.

    openstacksdk creates them after the node was verified.
    """

    def registered(self, macs):
        """Return the MACs that a node has which openstacksdk registers."""
        cloud = openstack.connect(
            auth_type='none',
            endpoint_override=self.ironic.url,
            baremetal_endpoint_override=self.ironic.url,
            load_envvars=False,
            load_yaml_config=False,
        )
        node = cloud.register_machine(
            [{'address': mac} for mac in macs],
            wait=True,
            timeout=ironic_service.STATE_S,
            name=NAME,
            driver='zsbm',
            driver_info=self.useFixture(bmcs.SushyToolsBmc()).driver_info(),
        )
        self.addCleanup(self._delete, node.id)
        self.assertEqual('available', node.provision_state)
        return [port.address for port in self.api.ports(node=node.id)]


class ToldTest(RegisterTest):
    def test_a_client_leaves_them_to_the_bmc(self):
        self.assertEqual([TOLD_MAC], self.registered([]))

    def test_a_client_creates_them_itself(self):
        self.assertEqual([OTHER_MAC], self.registered([OTHER_MAC]))

    def test_a_client_creates_one_that_the_bmc_tells_of(self):
        self.assertEqual([TOLD_MAC], self.registered([TOLD_MAC]))


class OwnTest(RegisterTest):
    options = {'inspector': {'pre_create_ports': 'false'}}

    def test_nobody_creates_any(self):
        self.assertEqual([], self.registered([]))
