# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the fabric is found before an image is written."""

from tests.e2e.cloud import wiring
from zsbm_ironic.lab import bench, faults, network
from zsbm_ironic.lab.cloud import fabric, node_agent, servers, vpc


class MiswiringTest(wiring.WiringTest):
    """Each is found, and located, before an image is written."""

    def test_wiring_right(self):
        """Nothing is wrong with a right one, before and after a boot."""
        self.assertEqual({}, self.wrong())
        self.assertEqual('manageable', self.inspect().provision_state)
        found = self.check()
        self.assertEqual([], [one for one in found if one['state'] == 'wrong'])
        self.assertEqual(
            {'plan', 'switch', 'ramdisk'}, {one['means'] for one in found}
        )
        self.assertEqual({}, self.wrong(vpc.VPC_A))

    def test_wiring_wrong_port(self):
        """The switch hears the server where nobody said that it is."""
        spare = self.other().nics[0].tap
        self.says(0, port_id=spare)
        self.says(1, port_id=f'{spare}-no')
        self.assert_refused('switch-port', 'switch', f'{spare}-no')
        self.as_plugged()
        self.says(0, port_id=spare)
        node = self.inspect()
        self.assertEqual('inspect failed', node.provision_state)
        said = node.last_error or self.history()[0]
        self.assertIn('heard-elsewhere', said)
        self.assertIn(self.tap, said)

    def test_wiring_swapped_cables(self):
        """The ramdisk hears at each NIC what the other should hear."""
        one, other = (nic.tap for nic in self.machine.nics)
        self.says(0, port_id=other)
        self.says(1, port_id=one)
        self.assertEqual('manageable', self.inspect().provision_state)
        found = self.wrong()
        self.assertIn('swapped-cables', found)
        self.assertEqual('ramdisk', found['swapped-cables']['means'])

    def test_wiring_wrong_native_vlan(self):
        """Somebody else puts the port into another VLAN while it boots."""
        self.as_(
            'system',
            lambda one: one.baremetal.set_node_provision_state(
                self.uuid, 'inspect'
            ),
        )
        self.wait_for(
            lambda: (
                fabric.tag_of(self.tor, self.tap) == fabric.PROVISIONING_VLAN
            ),
            'the port of the switch',
            600,
        )
        self.tor.vsctl('set', 'port', self.tap, 'tag=299')
        self.wait_for(
            lambda: self.node().provision_state == 'inspect failed',
            'the end of the wait',
            900,
        )
        said = self.node().last_error or self.history()[0]
        self.assertIn('native-vlan', said)
        self.assertIn('299', said)

    def test_wiring_vlan_out_of_range(self):
        """Neutron may not use the VLAN of a network at this switch."""

        def make(operator):
            made = operator.network.create_network(
                name='far',
                provider_network_type='vlan',
                provider_physical_network=fabric.PHYSICAL_NETWORK,
                provider_segmentation_id=fabric.ALLOWED_VLANS[-1] + 1,
            )
            operator.network.create_subnet(
                network_id=made.id, ip_version=4, cidr='10.0.9.0/24'
            )
            return made.id

        made = self.as_('admin', make)
        self.addCleanup(
            self.as_, 'admin', lambda one: one.network.delete_network(made)
        )
        found = self.wrong('far')
        self.assertIn('switch-allows', found)
        self.assertEqual('switch', found['switch-allows']['means'])

    def test_wiring_agent_dead(self):
        """Neutron has not heard of the node's agent for long."""
        self.wait_for(
            lambda: any(
                one['check'] == 'node-agent' and one['state'] == 'ok'
                for one in self.check()
            ),
            'the agent',
            300,
        )
        self.lab.supervisor.stop(node_agent.NAME)
        self.addCleanup(self.lab.up, self.plan)
        self.wait_for(lambda: 'node-agent' in self.wrong(), 'its silence', 120)
        self.assert_refused('node-agent', 'plan')

    def test_wiring_switch_refuses(self):
        """The switch does not let us in, and Neutron neither."""
        keys = self.tor.root / 'ssh'
        known = {
            path: path.read_text()
            for path in (keys / 'login.pub', keys / 'reader.pub')
        }
        for path in known:
            path.write_text('')
        for path, text in known.items():
            self.addCleanup(path.write_text, text)
        self.assert_refused('switch', 'switch', 'root')

    def test_wiring_switch_down(self):
        """Nobody answers at the address of the switch."""
        self.lab.supervisor.stop(f'{self.tor.name}-ssh')
        self.addCleanup(self.lab.up, self.plan)
        self.assert_refused('switch', 'switch', str(fabric.SWITCH_PORT))

    def test_wiring_mtu(self):
        """A switch between passes less than the network is said to."""
        leg = fabric.LEG
        network.ip('link', 'set', leg, 'mtu', '1400')
        self.addCleanup(network.ip, 'link', 'set', leg, 'mtu', '1500')
        self.assertEqual('manageable', self.inspect().provision_state)
        found = self.wrong()
        self.assertIn('mtu', found)
        self.assertEqual('ramdisk', found['mtu']['means'])

    def test_wiring_no_link(self):
        """A server whose cable is not plugged in is not heard at all."""
        self.as_(
            'system',
            lambda one: one.baremetal.set_node_provision_state(
                self.uuid, 'inspect'
            ),
        )
        self.wait_for(
            lambda: self.node().power_state == 'power on', 'power', 300
        )
        faults.inject(self.lab, 'cable', self.machine.name, None)
        self.addCleanup(faults.clear, self.lab)
        self.addCleanup(
            self.as_,
            'system',
            lambda one: one.baremetal.set_node_provision_state(
                self.uuid, 'abort'
            ),
        )
        self.wait_for(
            lambda: any(
                'no frame of it was heard' in one for one in self.history()
            ),
            'what the switch says',
            900,
        )

    def test_wiring_port_of_another_node(self):
        """Two servers are said to be at one port of the switch."""
        other = self.other()
        fingerprint = bench.fingerprint(other, self.lab.folders)
        self.as_(
            'system',
            lambda one: servers.make_manageable(one, other, fingerprint),
        )
        self.says(0, port_id=other.nics[0].tap)
        self.assert_refused('port-of-another-node', 'plan', other.name)
