# SPDX-License-Identifier: Apache-2.0
"""What the ramdisk sees of a network: real packets between two namespaces."""

import os

import testtools
from ironic_python_agent import config as _agent_options  # noqa: F401

from zsbm_ironic.lab import network
from zsbm_ironic.ramdisk import seen

SERVER, CONDUCTOR = 'zsbm-seen-1', 'zsbm-seen-2'
ADDRESS = '198.51.100.1'


@testtools.skipIf(os.geteuid(), 'network namespaces need root')
class LargestPacket(testtools.TestCase):
    def setUp(self):
        super().setUp()
        for namespace in (SERVER, CONDUCTOR):
            self.addCleanup(network.delete_branch, namespace)
            network.create_namespace(namespace)
        network.ip('link', 'add', 'eth0', 'type', 'veth', namespace=SERVER)
        network.ip(
            *('link', 'set', 'veth0', 'netns', CONDUCTOR), namespace=SERVER
        )
        for name, namespace, address in (
            ('eth0', SERVER, '198.51.100.50/24'),
            ('veth0', CONDUCTOR, f'{ADDRESS}/24'),
        ):
            network.ip('link', 'set', name, 'up', namespace=namespace)
            network.set_address(name, address, namespace=namespace)

    def largest(self, mtu=1500):
        return network.call(
            lambda: seen.largest_packet(ADDRESS, mtu), namespace=SERVER
        )

    def test_the_whole_mtu_passes(self):
        self.assertEqual(1500, self.largest())

    def test_a_way_that_takes_less(self):
        network.ip(
            *('link', 'set', 'veth0', 'mtu', '1400'), namespace=CONDUCTOR
        )
        # The end of a cable takes a VLAN tag more than its MTU says.
        self.assertIn(self.largest(), range(1400, 1405))

    def test_a_nic_that_takes_less(self):
        network.ip('link', 'set', 'eth0', 'mtu', '1300', namespace=SERVER)
        self.assertEqual(1300, self.largest())

    def test_nobody_answers(self):
        network.ip('link', 'set', 'veth0', 'down', namespace=CONDUCTOR)
        self.assertIsNone(self.largest())

    def test_no_such_host(self):
        self.assertIsNone(seen.largest_packet(None, 1500))
