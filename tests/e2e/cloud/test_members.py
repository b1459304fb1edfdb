# SPDX-License-Identifier: Apache-2.0
"""What a member does with a server, and may not do with that of another."""

from tests.e2e.cloud import case, refusals
from tests.e2e.cloud.case import (
    NEAR,
    NEAR_ADDRESS,
    NEIGHBOUR,
    SERVER,
    STRANGER,
    VM,
    address_of,
)
from zsbm_ironic.lab import bench
from zsbm_ironic.lab.cloud import fabric, node_agent, servers, vpc, world

BOOT_ID = 'cat /proc/sys/kernel/random/boot_id'
HOST_KEY = 'cat /etc/ssh/ssh_host_ed25519_key.pub'
FAR_ADDRESS = '10.0.2.250'


class MemberTest(case.CloudTest):
    """What a member does with a server, by Nova and Neutron alone."""

    def test_verbs_of_a_member(self):
        """Stop, start, reboot, rebuild: what Nova says is what is."""
        uuid = self.make_available()
        (server,) = self.create([SERVER], world.FLAT)
        self.join_flat()
        address = address_of(server, world.FLAT)
        key = self.ssh(NEIGHBOUR, address, HOST_KEY)
        for verb, status, power in (
            ('stop_server', 'SHUTOFF', 'power off'),
            ('start_server', 'ACTIVE', 'power on'),
        ):
            self.do(server, verb, status)
            self.assertEqual(
                power,
                self.as_(
                    'system',
                    lambda one: one.baremetal.get_node(uuid).power_state,
                ),
            )
        boot = self.ssh(NEIGHBOUR, address, BOOT_ID)
        self.do(server, 'reboot_server', 'ACTIVE', 'HARD')
        self.wait_for(
            lambda: self.ssh(NEIGHBOUR, address, BOOT_ID) != boot,
            'another boot',
            case.SSH_S,
        )
        image = self.as_(
            'demo', lambda one: one.image.find_image(world.IMAGE).id
        )
        self.do(server, 'rebuild_server', 'ACTIVE', image=image)
        # The same address, and a system of its own.
        self.assertNotEqual(key, self.ssh(NEIGHBOUR, address, HOST_KEY))
        self.delete([server])
        self.wait_given_back(uuid)

    def do(self, server, verb, status, *words, **more):
        """Ask Nova for something, and wait until it says that it is so."""

        def ask(member):
            getattr(member.compute, verb)(server, *words, **more)
            member.compute.wait_for_server(
                server, status=status, wait=case.ACTIVE_S
            )

        self.as_('demo', ask)

    def test_floating_ip(self):
        """A server of a VPC is reached from outside by another address."""
        uuid = self.make_available()
        (server,) = self.create([SERVER], vpc.VPC_A)

        def give(member):
            (port,) = member.network.ports(device_id=server.id)
            outside = member.network.find_network(world.FLAT)
            return member.network.create_ip(
                floating_network_id=outside.id, port_id=port.id
            )

        floating = self.as_('demo', give)
        self.addCleanup(
            self.as_,
            'demo',
            lambda one: one.network.delete_ip(floating, ignore_missing=True),
        )
        self.join_flat()
        self.assertEqual(
            SERVER,
            self.ssh(NEIGHBOUR, floating.floating_ip_address, 'hostname'),
        )
        self.delete([server])
        self.wait_given_back(uuid)

    def test_moved_to_another_vpc_while_it_runs(self):
        """Its disk is not touched, and its OS asks for another address."""
        uuid = self.make_available()
        (server,) = self.create([SERVER], vpc.VPC_A)
        near = self.join(NEAR, self.vlan(vpc.VPC_A), NEAR_ADDRESS)
        first = address_of(server, vpc.VPC_A)
        boot = self.ssh(near, first, BOOT_ID)

        def move(member):
            (port,) = member.network.ports(device_id=server.id)
            member.compute.delete_server_interface(
                port.id, server=server, ignore_missing=False
            )
            self.wait_for(
                lambda: not list(member.network.ports(device_id=server.id)),
                'the port to go',
                120,
            )
            other = member.network.find_network(vpc.VPC_B)
            made = member.compute.create_server_interface(
                server, net_id=other.id
            )
            return made.fixed_ips[0]['ip_address']

        address = self.as_('demo', move)
        self.assertEqual(
            self.vlan(vpc.VPC_B), fabric.tag_of(self.tor, self.tap)
        )
        far = self.join(STRANGER, self.vlan(vpc.VPC_B), FAR_ADDRESS)
        self.assertEqual(boot, self.ssh(far, address, BOOT_ID))
        self.delete([server])
        self.wait_given_back(uuid)

    def test_snapshot_of_a_vm_runs_on_metal(self):
        """What a member changed in a VM is on the server."""
        uuid = self.make_available()
        (vm,) = self.create([VM], world.FLAT)
        self.join_flat()
        self.ssh(
            NEIGHBOUR,
            address_of(vm, world.FLAT),
            'echo of a VM >/root/mark; sync',
        )
        snapshot = self.as_(
            'demo',
            lambda one: one.compute.create_server_image(
                vm, 'snapshot', wait=True, timeout=case.ACTIVE_S
            ),
        )
        self.addCleanup(
            self.as_, 'demo', lambda one: one.image.delete_image(snapshot.id)
        )
        self.delete([vm])
        (server,) = self.create([SERVER], world.FLAT, image=snapshot.id)
        address = address_of(server, world.FLAT)
        self.assertEqual(
            'of a VM', self.ssh(NEIGHBOUR, address, 'cat /root/mark')
        )
        self.assertEqual(SERVER, self.ssh(NEIGHBOUR, address, 'hostname'))
        self.delete([server])
        self.wait_given_back(uuid)


class KilledTest(case.CloudTest):
    """What dies in the middle of a deploy leaves nothing, and the next works.

    The conductor, Neutron, and the SSH server of the switch.
    """

    def after(self, *names):
        uuid = self.make_available()

        def ask(member):
            return case.ask(member, SERVER, vpc.VPC_A)

        server = self.as_('demo', ask)
        self.wait_for(
            lambda: (
                self.as_(
                    'system', lambda one: one.baremetal.get_node(uuid)
                ).provision_state
                == 'wait call-back'
            ),
            'the deploy',
            600,
        )
        for name in names:
            self.lab.supervisor.kill(name)
        self.lab.up(self.plan)
        # Nova may or may not have seen it: a member takes it back either way.
        self.delete([server])
        self.wait_given_back(uuid)
        left = self.as_(
            'admin',
            lambda one: [
                port.id
                for port in one.network.ports()
                if port.binding_host_id == uuid
            ],
        )
        self.assertEqual([], left)
        (again,) = self.create([SERVER], vpc.VPC_A)
        self.assertEqual(
            self.vlan(vpc.VPC_A), fabric.tag_of(self.tor, self.tap)
        )
        self.delete([again])
        self.wait_given_back(uuid)

    def test_killed_conductor(self):
        self.after('ironic')

    def test_killed_neutron(self):
        self.after('neutron', 'neutron-rpc-server', node_agent.NAME)

    def test_killed_switch(self):
        self.after(f'{self.tor.name}-ssh', f'{self.tor.name}-vswitchd')


class IsolationTest(case.CloudTest):
    def test_members_act_on_their_own_servers_alone(self):
        """A server of one project is none for a member of another."""
        node = self.as_('system', self.leased)
        before = self.as_('system', lambda one: self.shape(one, node.id))
        answers = self.as_('other', lambda one: self.refused(one, node))
        self.assertEqual(
            [],
            [
                (call, status)
                for call, status in answers
                if status not in refusals.REFUSED
            ],
        )
        self.assertLessEqual(30, len(answers))
        self.assertEqual(
            before, self.as_('system', lambda one: self.shape(one, node.id))
        )
        seen = self.as_('other', lambda one: list(one.baremetal.nodes()))
        self.assertEqual([], seen)
        # Whose it is sees it, and may power it.
        (own,) = self.as_('demo', lambda one: list(one.baremetal.nodes()))
        self.assertEqual(node.id, own.id)
        self.as_(
            'demo',
            lambda one: one.baremetal.set_node_power_state(
                node.id, 'power on'
            ),
        )

    def leased(self, operator):
        """Return a node that project demo leases."""
        fingerprint = bench.fingerprint(self.machine, self.lab.folders)
        uuid = servers.make_manageable(operator, self.machine, fingerprint)
        project = operator.identity.find_project('demo')
        operator.baremetal.update_node(uuid, lessee=project.id)
        return operator.baremetal.get_node(uuid)

    def shape(self, operator, uuid):
        """Return what a stranger would have changed."""
        node = operator.baremetal.get_node(uuid)
        return {
            name: node[name]
            for name in (
                'driver_info',
                'extra',
                'instance_info',
                'is_maintenance',
                'lessee',
                'power_state',
                'provision_state',
                'traits',
            )
        } | {'ports': [one.id for one in operator.baremetal.ports(node=uuid)]}

    def refused(self, stranger, node):
        """Try each call; return it with the status of the answer."""
        (port, *_) = self.as_(
            'system', lambda one: list(one.baremetal.ports(node=node.id))
        )
        answers = []
        for method, path, body in refusals.CALLS:
            words = {'node': node.id, 'port': port.id}
            if isinstance(body, dict):
                body = {
                    key: value.format(**words)
                    if isinstance(value, str)
                    else value
                    for key, value in body.items()
                }
            done = stranger.baremetal.request(
                path.format(**words),
                method,
                json=body,
                microversion=refusals.MICROVERSION,
                raise_exc=False,
            )
            answers.append((f'{method} {path} {body}', done.status_code))
        return answers
