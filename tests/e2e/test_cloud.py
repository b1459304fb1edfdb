# SPDX-License-Identifier: Apache-2.0
"""Servers beside VMs: a whole small OpenStack, driven as a member does."""

from tests.e2e import base, browser, cloud_case, cloud_wiring, refusals
from tests.e2e.cloud_case import SERVER, VM, address_of
from zsbm_ironic.lab import bench, faults, layout, lifecycle, network
from zsbm_ironic.lab.cloud import (
    fabric,
    horizon,
    node_agent,
    servers,
    vpc,
    world,
)
from zsbm_ironic.lab.images import os_image

# Other computers: of the flat network; of a VPC; one in the VLAN of the other
# VPC with an address of the first.
CLOUD_MACHINES = base.MACHINES.with_name('machines_cloud.toml')
NEIGHBOUR = f'{layout.NAMESPACE}-flat'
NEAR = f'{layout.NAMESPACE}-near'
STRANGER = f'{layout.NAMESPACE}-far'
ADDRESS, NEAR_ADDRESS = '203.0.113.250', '10.0.1.250'
STRANGER_ADDRESS = '10.0.1.251'
BOOT_ID = 'cat /proc/sys/kernel/random/boot_id'
HOST_KEY = 'cat /etc/ssh/ssh_host_ed25519_key.pub'
# As a guest without curl asks for it.
METADATA = (
    "bash -c 'exec 3<>/dev/tcp/169.254.169.254/80; "
    r'printf "GET /openstack/latest/meta_data.json HTTP/1.0\r\n\r\n" >&3; '
    "cat <&3'"
)


class CloudTest(cloud_case.CloudTest):
    def join_flat(self):
        fabric.join(self.tor, NEIGHBOUR, fabric.FLAT_VLAN, f'{ADDRESS}/24')

    def test_server_of_nova_on_a_flat_network(self):
        """From `server create` to a login, and nothing is left of it."""
        uuid = self.make_available()
        (server,) = self.create([SERVER], world.FLAT)
        self.assertEqual(fabric.FLAT_VLAN, fabric.tag_of(self.tor, self.tap))
        self.join_flat()
        self.assertEqual(
            SERVER,
            self.ssh(NEIGHBOUR, address_of(server, world.FLAT), 'hostname'),
        )
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
        fabric.join(self.tor, NEAR, vlans[0], f'{NEAR_ADDRESS}/24')
        fabric.join(self.tor, STRANGER, vlans[1], f'{STRANGER_ADDRESS}/24')
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


class OverlayTest(cloud_case.CloudTest):
    """The same where networks of members are tunnels."""

    plan = lifecycle.Plan(cloud=True, overlay=True, raw_images=False)

    def test_overlay_vm_and_server_in_a_vpc(self):
        """A server joins a network that VMs are in already, and leaves it."""
        uuid = self.make_available()
        (vm,) = self.create([VM], vpc.VPC_A)
        inside = address_of(vm, vpc.VPC_A)
        (server,) = self.create([SERVER], vpc.VPC_A)
        vlan = self.vlan(vpc.VPC_A)
        self.assertEqual(vlan, fabric.tag_of(self.tor, self.tap))
        fabric.join(self.tor, NEAR, vlan, f'{NEAR_ADDRESS}/24')
        address = address_of(server, vpc.VPC_A)
        self.assert_meet(NEAR, inside, address)
        fabric.join(self.tor, STRANGER, vlan + 1, f'{STRANGER_ADDRESS}/24')
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
        server = self.as_(
            'demo', lambda one: cloud_case.ask(one, SERVER, vpc.VPC_A)
        )
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


class MemberTest(cloud_case.CloudTest):
    """What a member does with a server, by Nova and Neutron alone."""

    def in_vpc(self, name, address):
        """Put a computer into a VPC; return its namespace."""
        fabric.join(self.tor, NEAR, self.vlan(name), f'{address}/24')
        return NEAR

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
            cloud_case.SSH_S,
        )
        image = self.as_(
            'demo', lambda one: one.image.find_image(world.IMAGE).id
        )
        self.do(server, 'rebuild_server', 'ACTIVE', image=image)
        # The same address, and a system of its own.
        self.assertNotEqual(key, self.ssh(NEIGHBOUR, address, HOST_KEY))
        self.delete([server])
        self.wait_given_back(uuid)

    def join_flat(self):
        fabric.join(self.tor, NEIGHBOUR, fabric.FLAT_VLAN, f'{ADDRESS}/24')

    def do(self, server, verb, status, *words, **more):
        """Ask Nova for something, and wait until it says that it is so."""

        def ask(member):
            getattr(member.compute, verb)(server, *words, **more)
            member.compute.wait_for_server(
                server, status=status, wait=cloud_case.ACTIVE_S
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
        near = self.in_vpc(vpc.VPC_A, NEAR_ADDRESS)
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
        fabric.join(self.tor, STRANGER, self.vlan(vpc.VPC_B), '10.0.2.250/24')
        self.assertEqual(boot, self.ssh(STRANGER, address, BOOT_ID))
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
                vm, 'snapshot', wait=True, timeout=cloud_case.ACTIVE_S
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


class KilledTest(cloud_case.CloudTest):
    """What dies in the middle of a deploy leaves nothing, and the next works.

    The conductor, Neutron, and the SSH server of the switch.
    """

    def after(self, *names):
        uuid = self.make_available()

        def ask(member):
            return cloud_case.ask(member, SERVER, vpc.VPC_A)

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


class IsolationTest(cloud_case.CloudTest):
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


class MiswiringTest(cloud_wiring.WiringTest):
    """Each is found, and located, before an image is written."""

    plan = lifecycle.Plan(
        cloud=True,
        machines_file=str(base.MACHINES.with_name('machines_cloud.toml')),
    )

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


class BrowserTest(cloud_case.CloudTest):
    """Horizon as a person sees it."""

    POWER, MAINTENANCE = 4, 6

    def test_browser_of_an_admin(self):
        """Sees the node, and works it: power and maintenance."""
        fingerprint = bench.fingerprint(self.machine, self.lab.folders)
        uuid = self.as_(
            'system',
            lambda one: servers.make_manageable(
                one, self.machine, fingerprint
            ),
        )
        network.call(lambda: self.work(self.machine.name))
        node = self.as_('system', lambda one: one.baremetal.get_node(uuid))
        self.assertFalse(node.is_maintenance)

    def work(self, name):
        with browser.Browser() as seen:
            seen.log_in(horizon.url(), 'admin', self.site.passwords['admin'])
            seen.open(
                f'{horizon.url()}/auth/switch_system_scope/'
                '?next=/admin/ironic/'
            )
            seen.see(name)
            seen.keep('horizon-nodes')
            before = seen.cell(name, self.POWER)
            verb = 'Power off' if before == 'power on' else 'Power on'
            seen.in_row(name, verb)
            self.wait_for(
                lambda: self.again(seen, name, self.POWER) != before,
                'the power',
                120,
            )
            seen.in_row(name, 'Maintenance On')
            seen.press('Put Node(s) Into Maintenance Mode')
            self.wait_for(
                lambda: self.again(seen, name, self.MAINTENANCE) == 'Yes',
                'maintenance',
                120,
            )
            seen.keep('horizon-maintenance')
            seen.in_row(name, 'Maintenance Off')
            self.wait_for(
                lambda: self.again(seen, name, self.MAINTENANCE) == 'No',
                'no maintenance',
                120,
            )

    def again(self, seen, name, column):
        seen.open(f'{horizon.url()}/admin/ironic/')
        seen.see(name)
        return seen.cell(name, column)

    def test_browser_of_a_member(self):
        """Sees own servers only, and no panel of nodes."""
        (vm,) = self.create([VM], world.FLAT)
        for member, sees in (('demo', True), ('other', False)):
            page = network.call(
                lambda member=member, sees=sees: self.instances(member, sees)
            )
            self.assertEqual(sees, VM in page, member)
            self.assertNotIn('Ironic', page)
        self.delete([vm])

    def instances(self, member, some):
        with browser.Browser() as seen:
            seen.log_in(horizon.url(), member, self.site.passwords[member])
            seen.open(f'{horizon.url()}/project/instances/')
            seen.see(VM if some else 'No items to display')
            seen.keep(f'horizon-{member}')
            return seen.text()
