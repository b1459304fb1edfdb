# SPDX-License-Identifier: Apache-2.0
"""Servers beside VMs: a whole small OpenStack, driven as a member does."""

import time

from tests.e2e import base
from zsbm_ironic.common import process
from zsbm_ironic.lab import bench, demo, layout, lifecycle, network
from zsbm_ironic.lab.cloud import cloud, fabric, servers, world

ACTIVE_S = 1500
SSH_S = 600
# Another computer of the flat network.
NEIGHBOUR = f'{layout.NAMESPACE}-flat'
ADDRESS = '203.0.113.250/24'


class CloudTest(base.LabTest):
    plan = lifecycle.Plan(cloud=True)
    state = '/var/lib/zsbm-lab-cloud'

    @classmethod
    def setUpClass(cls):
        base.make_room()
        super().setUpClass()
        cls.addClassCleanup(cls.lab.down, wipe=False)
        cls.site = cloud.site_of(cls.lab.folders.state, cls.lab.cache())
        cls.tor = fabric.switch(cls.lab.folders.state / 'cloud')

    def as_(self, name, function):
        """Call a function with the connection of one of clouds.yaml."""
        return network.call(lambda: function(world.connect(self.site, name)))

    def test_server_of_nova_on_a_flat_network(self):
        """From `server create` to a login, and nothing is left of it."""
        machine = demo.find(self.lab.declared(), 'metal-uefi')
        fingerprint = bench.fingerprint(machine, self.lab.folders)
        uuid = self.as_(
            'system',
            lambda one: servers.make_available(one, machine, fingerprint),
        )
        self.as_('admin', lambda one: servers.wait_until_offered(one, uuid))
        server = self.as_('demo', self.create)
        address = server.addresses[world.FLAT][0]['addr']
        self.assertEqual(
            fabric.FLAT_VLAN, fabric.tag_of(self.tor, machine.nics[0].tap)
        )
        fabric.join(self.tor, NEIGHBOUR, fabric.FLAT_VLAN, ADDRESS)
        self.assertEqual('web-1', self.ssh(address, 'hostname'))
        self.as_('demo', self.delete)
        self.as_('system', lambda one: self.given_back(one, uuid))
        self.assertIsNone(fabric.tag_of(self.tor, machine.nics[0].tap))
        left = self.as_(
            'admin', lambda one: list(one.network.ports(device_id=server.id))
        )
        self.assertEqual([], left)

    def create(self, member):
        """Ask for a server, and wait for it."""
        found = member.compute.find_server('web-1')
        if found is None:
            found = member.compute.create_server(
                name='web-1',
                flavor_id=member.compute.find_flavor(world.METAL).id,
                image_id=member.image.find_image(world.IMAGE).id,
                key_name='demo',
                networks=[
                    {'uuid': member.network.find_network(world.FLAT).id}
                ],
            )
        return member.compute.wait_for_server(found, wait=ACTIVE_S)

    def delete(self, member):
        server = member.compute.find_server('web-1')
        member.compute.delete_server(server)
        member.compute.wait_for_delete(server, wait=ACTIVE_S)

    def given_back(self, operator, uuid):
        operator.baremetal.wait_for_nodes_provision_state(
            [uuid], 'available', timeout=ACTIVE_S
        )

    def ssh(self, address, *command):
        """Log in from the flat network, trying until the server answers."""
        deadline = time.monotonic() + SSH_S
        while True:
            done = process.run(
                [*network.nsenter(NEIGHBOUR), 'ssh', '-i']
                + [self.lab.folders.ssh_key, '-oBatchMode=yes']
                + ['-oConnectTimeout=5', '-oStrictHostKeyChecking=no']
                + ['-oUserKnownHostsFile=/dev/null', f'root@{address}']
                + [*command],
                timeout_s=60,
                check=False,
            )
            if done.returncode == 0:
                return done.stdout.strip()
            self.assertLess(time.monotonic(), deadline, done.stderr)
            time.sleep(2)
