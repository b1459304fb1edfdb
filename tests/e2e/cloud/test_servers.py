# SPDX-License-Identifier: Apache-2.0
"""Servers and VMs of a member, in one network and apart."""

import dataclasses

from tests.e2e import base
from tests.e2e.cloud import case
from tests.e2e.cloud.case import (
    ADDRESS,
    NEAR,
    NEAR_ADDRESS,
    NEIGHBOUR,
    SERVER,
    STRANGER,
    STRANGER_ADDRESS,
    VM,
    address_of,
)
from zsbm_ironic.lab import network
from zsbm_ironic.lab.cloud import fabric, vpc, world
from zsbm_ironic.lab.images import os_image

# As a guest without curl asks for it.
METADATA = (
    "bash -c 'exec 3<>/dev/tcp/169.254.169.254/80; "
    r'printf "GET /openstack/latest/meta_data.json HTTP/1.0\r\n\r\n" >&3; '
    "cat <&3'"
)


class CloudTest(case.CloudTest):
    def test_server_of_nova_on_a_flat_network(self):
        """From `server create` to a login, and nothing is left of it."""
        uuid = self.make_available()
        (server,) = self.create([SERVER], world.FLAT)
        self.assertEqual(fabric.FLAT_VLAN, fabric.tag_of(self.tor, self.tap))
        self.assert_on_flat(server)
        self.delete([server])
        self.wait_given_back(uuid)

    def test_vm_and_server_on_a_flat_network(self):
        """Each pings the other and gives it a file; both know who they are."""
        uuid = self.make_available()
        found = self.create([SERVER, VM], world.FLAT)
        server, vm = found
        self.assertEqual(
            ['metal', self.site.vm_host.name],
            [self.host_of(one) for one in found],
        )
        self.join_flat()
        addresses = [address_of(one, world.FLAT) for one in found]
        for one, address in zip(found, addresses, strict=True):
            self.assertEqual(
                one.name, self.ssh(NEIGHBOUR, address, 'hostname')
            )
        self.assert_meet(NEIGHBOUR, *addresses)
        answer = self.ssh(NEIGHBOUR, addresses[1], METADATA)
        self.assertIn(' 200 ', answer.splitlines()[0])
        self.assertIn(vm.id, answer)
        console = self.as_(
            'demo', lambda one: one.compute.get_server_console_output(vm)
        )
        self.assertIn(os_image.READY_MARKER, console['output'])
        self.delete(found)
        self.wait_given_back(uuid)

    def test_vm_and_server_in_a_vpc(self):
        """The same in a VLAN of a member; who is in another hears nothing."""
        uuid = self.make_available()
        found = self.create([SERVER, VM], vpc.VPC_A)
        vlans = [self.vlan(name) for name in (vpc.VPC_A, vpc.VPC_B)]
        self.assertEqual(vlans[0], fabric.tag_of(self.tor, self.tap))
        self.join(NEAR, vlans[0], NEAR_ADDRESS)
        self.join(STRANGER, vlans[1], STRANGER_ADDRESS)
        addresses = [address_of(one, vpc.VPC_A) for one in found]
        self.assert_meet(NEAR, *addresses)
        self.assert_way_out(addresses)
        for one, address in zip(found, addresses, strict=True):
            port = self.behind(one)
            answered, frames = self.heard(
                port, (NEAR, NEAR_ADDRESS), [address]
            )
            self.assertEqual(1, answered)
            self.assertGreater(frames, 0)
            # The same by who is not on this network.
            self.assertEqual(
                (0, 0),
                self.heard(port, (STRANGER, STRANGER_ADDRESS), addresses),
            )
        self.delete(found)
        self.wait_given_back(uuid)

    def assert_way_out(self, addresses):
        """Servers of the VPC reach the flat network, by their router."""
        self.join_flat()
        for address in addresses:
            self.ssh(NEAR, address, f'ping -q -c 3 {ADDRESS}')

    def test_down_leaves_nothing_of_a_vm(self):
        """Neither its QEMU nor what served its metadata."""
        (vm,) = self.create([VM], world.FLAT)
        self.join_flat()
        self.ssh(NEIGHBOUR, address_of(vm, world.FLAT), 'true')
        namespaces = base.namespaces()
        running = ' '.join(base.left_of(self.state, namespaces))
        for name in ('haproxy', 'qemu-system-x86_64', 'libvirtd'):
            self.assertIn(name, running)
        self.lab.down(wipe=False)
        self.assertEqual([], base.left_of(self.state, namespaces))
        self.assertEqual([], base.named_namespaces())
        self.assertEqual([], list(network.NAMESPACES.glob('ovnmeta-*')))
        self.lab.up(self.plan)
        self.delete([vm])


class OverlayTest(case.CloudTest):
    """The same where networks of members are tunnels."""

    plan = dataclasses.replace(case.PLAN, overlay=True)

    def test_overlay_vm_and_server_in_a_vpc(self):
        """A server joins a network that VMs are in already, and leaves it."""
        uuid = self.make_available()
        (vm,) = self.create([VM], vpc.VPC_A)
        inside = address_of(vm, vpc.VPC_A)
        (server,) = self.create([SERVER], vpc.VPC_A)
        vlan = self.vlan(vpc.VPC_A)
        self.assertEqual(vlan, fabric.tag_of(self.tor, self.tap))
        self.join(NEAR, vlan, NEAR_ADDRESS)
        address = address_of(server, vpc.VPC_A)
        self.assert_meet(NEAR, inside, address)
        self.join(STRANGER, vlan + 1, STRANGER_ADDRESS)
        self.assertEqual(
            (0, 0),
            self.heard(
                self.behind(server),
                (STRANGER, STRANGER_ADDRESS),
                [inside, address],
            ),
        )
        self.delete([server])
        self.wait_given_back(uuid)
        segments = self.as_('admin', self.segments)
        self.assertEqual({'geneve'}, segments[vpc.VPC_A])
        # Another one's network is as it was.
        self.assertEqual({'vlan'}, segments[world.PROVISIONING])
        self.delete([vm])

    def segments(self, operator):
        return {
            found.name: {
                one.network_type
                for one in operator.network.segments(network_id=found.id)
            }
            for found in operator.network.networks()
        }

    def test_overlay_host_without_a_bridge_is_found_before(self):
        """A VM that a first server would cut off goes on as it is."""
        uuid = self.make_available()
        found = self.create([VM], vpc.VPC_A)
        host = self.site.vm_host
        fabric.map_physical(host, mapped=False)
        self.addCleanup(fabric.map_physical, host, mapped=True)
        self.wait_for(
            lambda: 'chassis-mapping' in self.wrong(uuid, vpc.VPC_A),
            'what the check says',
            120,
        )
        server = self.as_('demo', lambda one: case.ask(one, SERVER, vpc.VPC_A))
        self.wait_for(
            lambda: (
                self.as_(
                    'demo', lambda one: one.compute.get_server(server.id)
                ).status
                == 'ERROR'
            ),
            'the refusal',
            600,
        )
        self.assertEqual(
            {'geneve'}, self.as_('admin', self.segments)[vpc.VPC_A]
        )
        self.delete([server, *found])
        self.wait_given_back(uuid)

    def wrong(self, uuid, network):
        def ask(operator):
            answer = operator.baremetal.call_node_vendor_passthru(
                uuid, 'GET', 'network_check', {'network': network}
            )
            return {
                one['check']
                for one in answer.json()['findings']
                if one['state'] == 'wrong'
            }

        return self.as_('system', ask)
