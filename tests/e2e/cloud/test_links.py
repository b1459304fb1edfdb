# SPDX-License-Identifier: Apache-2.0
"""Bonds, trunks, and who serves the addresses of a server."""

import dataclasses
import json

from tests.e2e import base
from tests.e2e.cloud import case
from tests.e2e.cloud.case import (
    NEAR,
    NEAR_ADDRESS,
    SERVER,
    STRANGER,
    address_of,
)
from zsbm_ironic.common import process
from zsbm_ironic.lab import bench, demo, lifecycle, network, wired
from zsbm_ironic.lab.cloud import fabric, servers, vpc, world

BOND = '/sys/class/net/bond0'
FAR_ADDRESS = '10.0.2.250'
# In the network of the lab's servers, where no cloud gives addresses away.
OTHER_ADDRESS = '198.51.100.250'
METAL = {'binding_vnic_type': 'baremetal'}


class LinksTest(case.CloudTest):
    def manageable(self):
        """Enrol the machine, or bring it back; return its node's UUID."""
        fingerprint = bench.fingerprint(self.machine, self.lab.folders)

        def bring(operator):
            uuid = servers.make_manageable(operator, self.machine, fingerprint)
            if operator.baremetal.get_node(uuid).provision_state != (
                'manageable'
            ):
                servers.go(operator, uuid, 'manage')
            return uuid

        return self.as_('system', bring)

    def bonded(self, uuid):
        """Make one portgroup of both ports of a node."""

        def make(operator):
            group = operator.baremetal.create_port_group(
                node_id=uuid,
                name='bond-1',
                address=self.machine.nics[0].mac,
                mode='active-backup',
                properties={'miimon': '100'},
                is_standalone_ports_supported=True,
            )
            for port in operator.baremetal.ports(node=uuid):
                operator.baremetal.update_port(port, port_group_id=group.id)
            return group.id

        return self.as_('system', make)

    def parted(self, uuid, group):
        self.manageable()

        def part(operator):
            for port in operator.baremetal.ports(node=uuid):
                operator.baremetal.update_port(port, port_group_id=None)
            operator.baremetal.delete_port_group(group)

        self.as_('system', part)

    def test_bond(self):
        """A server goes on by its other cable when one is pulled."""
        uuid = self.manageable()
        self.addCleanup(self.parted, uuid, self.bonded(uuid))
        self.make_available()
        (server,) = self.create([SERVER], vpc.VPC_A)
        vlan = self.vlan(vpc.VPC_A)
        self.assertEqual(
            [vlan, vlan],
            [fabric.tag_of(self.tor, nic.tap) for nic in self.machine.nics],
        )
        near = self.join(NEAR, vlan, NEAR_ADDRESS)
        address = address_of(server, vpc.VPC_A)
        self.assertEqual(
            'active-backup 1',
            self.ssh(near, address, f'cat {BOND}/bonding/mode'),
        )
        first = self.active(near, address)
        bmc = bench.client(self.machine, self.lab.folders)
        bmc.link(first, plugged=False)
        self.addCleanup(bmc.link, first, plugged=True)
        self.assertEqual(1 - first, self.active(near, address))
        self.delete([server])
        self.wait_given_back(uuid)

    def active(self, via, address):
        """Return the number of the NIC that a bond sends by."""
        mac = self.ssh(
            via,
            address,
            f'cat /sys/class/net/$(cat {BOND}/bonding/active_slave)'
            '/bonding_slave/perm_hwaddr',
        )
        return [nic.mac for nic in self.machine.nics].index(mac)

    def test_trunk(self):
        """A server is in two VPCs by one cable, in the second with a tag."""
        uuid = self.make_available()
        server, subport = self.as_('demo', self.ask_for_trunk)
        vlans = [self.vlan(name) for name in (vpc.VPC_A, vpc.VPC_B)]
        self.assertEqual(vlans[0], fabric.tag_of(self.tor, self.tap))
        self.assertIn(
            str(vlans[1]), self.tor.vsctl('get', 'port', self.tap, 'trunks')
        )
        self.assertIn('trunk-vlan', self.told(uuid))
        near = self.join(NEAR, vlans[0], NEAR_ADDRESS)
        far = self.join(STRANGER, vlans[1], FAR_ADDRESS)
        for via, address in (
            (near, address_of(server, vpc.VPC_A)),
            (far, subport.fixed_ips[0]['ip_address']),
        ):
            self.assertEqual(SERVER, self.ssh(via, address, 'hostname'))
        self.delete_trunk(server)
        self.wait_given_back(uuid)
        self.assertEqual(
            '[]', self.tor.vsctl('get', 'port', self.tap, 'trunks').strip()
        )

    def ask_for_trunk(self, member):
        """Ask for a server with a trunk; return both when it is there."""
        ports = [
            member.network.create_port(
                network_id=member.network.find_network(name).id,
                name=f'of-{name}',
                **METAL,
            )
            for name in (vpc.VPC_A, vpc.VPC_B)
        ]
        member.network.create_trunk(
            name='trunk-1',
            port_id=ports[0].id,
            sub_ports=[
                {'port_id': ports[1].id, 'segmentation_type': 'inherit'}
            ],
        )
        server = member.compute.create_server(
            name=SERVER,
            flavor_id=member.compute.find_flavor(world.METAL).id,
            image_id=member.image.find_image(world.IMAGE).id,
            key_name='demo',
            networks=[{'port': ports[0].id}],
        )
        return (
            member.compute.wait_for_server(server, wait=case.ACTIVE_S),
            member.network.get_port(ports[1].id),
        )

    def delete_trunk(self, server):
        def forget(member):
            member.compute.delete_server(server)
            member.compute.wait_for_delete(server, wait=case.ACTIVE_S)
            member.network.delete_trunk(member.network.find_trunk('trunk-1'))
            for name in (vpc.VPC_A, vpc.VPC_B):
                member.network.delete_port(
                    member.network.find_port(f'of-{name}')
                )

        self.as_('demo', forget)

    def told(self, uuid):
        """Return the checks that found all well."""

        def ask(operator):
            answer = operator.baremetal.call_node_vendor_passthru(
                uuid, 'GET', 'network_check', None
            )
            return {
                one['check']
                for one in answer.json()['findings']
                if one['state'] == 'ok'
            }

        return self.as_('system', ask)

    def test_flat_with_both_dhcp_servers(self):
        """Neutron's DHCP serves the boot; ours hears it and is silent."""
        uuid = self.make_available()
        self.interface(uuid, 'zsbm-flat')
        self.addCleanup(self.interface, uuid, 'zsbm-vpc')
        log = self.lab.folders.log / 'zsbm-netboot.log'
        before = log.stat().st_size
        (server,) = self.create([SERVER], world.FLAT)
        mac = self.machine.nics[0].mac
        with log.open(errors='replace') as file:
            file.seek(before)
            heard = [line for line in file if mac in line]
        self.assertTrue(any('DHCPDISCOVER' in line for line in heard))
        self.assertEqual([], [line for line in heard if 'DHCPOFFER' in line])
        self.assert_on_flat(server)
        self.delete([server])
        self.wait_given_back(uuid)

    def interface(self, uuid, name):
        self.as_(
            'system',
            lambda one: one.baremetal.update_node(
                uuid, network_interface=name
            ),
        )


class NeutronDhcpTest(case.CloudTest):
    """The ramdisk as well gets its address and its boot from Neutron."""

    plan = dataclasses.replace(case.PLAN, neutron_dhcp=True)

    def test_dhcp_of_neutron(self):
        uuid = self.make_available()
        (server,) = self.create([SERVER], world.FLAT)
        self.assert_on_flat(server)
        self.delete([server])
        self.wait_given_back(uuid)


class WithoutNeutronTest(base.LabTest):
    """A switch that ironic-networking configures, and no cloud."""

    plan = lifecycle.Plan(switch=True, raw_images=False)
    state = '/var/lib/zsbm-lab-switch'

    @classmethod
    def setUpClass(cls):
        base.make_room()
        super().setUpClass()
        cls.addClassCleanup(cls.lab.down, wipe=False)
        cls.tor = wired.switch(cls.lab.folders.state)

    def check(self, server):
        """Return what the check found, by its name."""
        done = server.baremetal(
            *('node', 'network', 'check', server.machine.name),
            *('--all', '-f', 'json'),
            check=False,
        )
        return {row['Check']: row for row in json.loads(done.stdout)}

    def wire(self, server, **link):
        """Tell Ironic where the machine is plugged in, and its user's VLAN."""
        nic = server.machine.nics[0]
        _status, found = self.api('GET', f'ports?address={nic.mac}')
        (port,) = found['ports']
        words = [
            word
            for key, value in {**servers.link_of(nic.tap), **link}.items()
            for word in ('--local-link-connection', f'{key}={value}')
        ]
        user = json.dumps({'mode': 'access', 'native_vlan': wired.USER_VLAN})
        server.baremetal(
            *('port', 'set', port['uuid'], '--extra', f'switchport={user}'),
            *words,
        )

    def test_without_neutron(self):
        """The same plan and verify; a server in the VLAN of its user."""
        server = self.server('metal-uefi')
        self.forget(server)
        server.enrol()
        name = server.machine.name
        server.baremetal(
            *('node', 'set', name, '--network-interface', 'zsbm-vlan')
        )
        server.manage()
        # What upstream leaves out with a line in its log is told here.
        found = self.check(server)
        self.assertEqual('wrong', found['link-information']['State'])
        tap = server.machine.nics[0].tap
        self.wire(server, port_id=f'{tap}-no')
        found = self.check(server)
        self.assertEqual('wrong', found['switch-port']['State'])
        self.wire(server)
        found = self.check(server)
        self.assertEqual(
            [], [row for row in found.values() if row['State'] == 'wrong']
        )
        server.provision('inspect')
        demo.make_available(server)
        server.describe_instance(self.image())
        server.forget_host_key()
        server.deploy()
        self.assertEqual(wired.USER_VLAN, fabric.tag_of(self.tor, tap))
        # The server has the address that its config drive gives it.
        fabric.join(self.tor, NEAR, wired.USER_VLAN, f'{OTHER_ADDRESS}/24')
        login = [*network.nsenter(NEAR), *server.ssh_argv('hostname')]
        self.wait_for(
            lambda: (
                process.run(login, timeout_s=60, check=False).stdout.strip()
                == name
            ),
            'a login',
            case.SSH_S,
        )
        server.provision('undeploy')
        self.assertIsNone(fabric.tag_of(self.tor, tap))
