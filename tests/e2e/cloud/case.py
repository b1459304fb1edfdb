# SPDX-License-Identifier: Apache-2.0
"""What tests of the cloud stand on: servers and VMs, asked for by a member."""

import pathlib
import re
import secrets
import signal
import time

from tests.e2e import base
from zsbm_ironic.common import process
from zsbm_ironic.lab import bench, demo, layout, lifecycle, network
from zsbm_ironic.lab.cloud import cloud, fabric, servers, world

STATE = '/var/lib/zsbm-lab-cloud'
PLAN = lifecycle.Plan(
    cloud=True,
    machines_file=str(pathlib.Path(__file__).with_name('machines.toml')),
    raw_images=False,
)
ACTIVE_S = 1500
SSH_S = 600
HEARD_S = 20
# Names that a member gives, with the flavour of each.
SERVER, VM = 'web-1', 'vm-1'
FLAVORS = {SERVER: world.METAL, VM: world.SMALL}
# Other computers: of the flat network; of a VPC; one in the VLAN of the other
# VPC with an address of the first.
NEIGHBOUR = f'{layout.NAMESPACE}-flat'
NEAR = f'{layout.NAMESPACE}-near'
STRANGER = f'{layout.NAMESPACE}-far'
ADDRESS, NEAR_ADDRESS = '203.0.113.250', '10.0.1.250'
STRANGER_ADDRESS = '10.0.1.251'
# Far more than a frame has.
FILE_BYTES = 4 << 20
CAPTURED = re.compile(r'^(\d+) packets? captured', re.M)


class CloudTest(base.LabTest):
    """A cloud that is up, without servers of members."""

    plan = PLAN
    state = STATE

    @classmethod
    def setUpClass(cls):
        base.make_room()
        super().setUpClass()
        cls.addClassCleanup(cls.lab.down, wipe=False)
        cls.site = cloud.site_of(
            cls.lab.folders.state,
            cls.lab.cache(),
            overlay=cls.plan.overlay,
            neutron_dhcp=cls.plan.neutron_dhcp,
        )
        cls.tor = fabric.switch(cls.lab.folders.state / 'cloud')
        cls.machine = demo.find(cls.lab.declared(), 'metal-uefi')
        cls.tap = cls.machine.nics[0].tap

    def setUp(self):
        super().setUp()
        # What a test has left that failed.
        self.delete(self.as_('demo', lambda one: [*one.compute.servers()]))

    def as_(self, name, function):
        """Call a function with the connection of one of clouds.yaml."""
        return network.call(lambda: function(world.connect(self.site, name)))

    def join(self, space, vlan, address):
        """Put another computer into a VLAN; return its namespace."""
        fabric.join(self.tor, space, vlan, f'{address}/24')
        return space

    def join_flat(self):
        return self.join(NEIGHBOUR, fabric.FLAT_VLAN, ADDRESS)

    def assert_on_flat(self, server):
        """It answers by SSH, from another computer of the flat network."""
        self.join_flat()
        address = address_of(server, world.FLAT)
        self.assertEqual(server.name, self.ssh(NEIGHBOUR, address, 'hostname'))

    def make_available(self):
        """Bring the machine to where Nova finds it; return its node's UUID."""
        fingerprint = bench.fingerprint(self.machine, self.lab.folders)
        uuid = self.as_(
            'system',
            lambda one: servers.make_available(one, self.machine, fingerprint),
        )
        self.as_('admin', lambda one: servers.wait_until_offered(one, uuid))
        return uuid

    def create(self, names, wanted, image=None):
        """Ask for servers at once, as a member, and wait for all of them.

        :param names: of FLAVORS.
        :param wanted: name of their network.
        :param image: its id; None: that of the lab.
        :returns: a server for each name.
        """

        def all_of(member):
            asked = [ask(member, name, wanted, image) for name in names]
            return [
                member.compute.wait_for_server(one, wait=ACTIVE_S)
                for one in asked
            ]

        return self.as_('demo', all_of)

    def delete(self, found):
        """Give servers back; fail where a port of one is left."""

        def forget(member):
            for one in found:
                member.compute.delete_server(one)
            for one in found:
                member.compute.wait_for_delete(one, wait=ACTIVE_S)

        self.as_('demo', forget)
        for one in found:
            self.assertEqual([], self.ports(one))

    def ports(self, server):
        return self.as_(
            'admin', lambda one: list(one.network.ports(device_id=server.id))
        )

    def wait_given_back(self, uuid):
        """Wait until a server is cleaned, and on no network any more."""
        self.as_(
            'system',
            lambda one: one.baremetal.wait_for_nodes_provision_state(
                [uuid], 'available', timeout=ACTIVE_S
            ),
        )
        self.assertIsNone(fabric.tag_of(self.tor, self.tap))

    def vlan(self, name):
        """Return the VLAN that Neutron has chosen for a network.

        That of an overlay is there while a server is in it.
        """

        def ask(operator):
            found = operator.network.find_network(name)
            (vlan,) = (
                one.segmentation_id
                for one in operator.network.segments(network_id=found.id)
                if one.network_type == 'vlan'
            )
            return vlan

        return self.as_('admin', ask)

    def host_of(self, server):
        return self.as_(
            'admin', lambda one: one.compute.get_server(server.id).compute_host
        )

    def ssh(self, via, address, command, stdin=None):
        """Log in from a namespace, trying until the server answers."""
        deadline = time.monotonic() + SSH_S
        while True:
            done = process.run(
                [*network.nsenter(via), 'ssh', '-i']
                + [self.lab.folders.ssh_key, '-oBatchMode=yes']
                + ['-oConnectTimeout=5', '-oStrictHostKeyChecking=no']
                + ['-oUserKnownHostsFile=/dev/null', f'root@{address}']
                + [command],
                timeout_s=120,
                stdin=stdin,
                check=False,
            )
            if done.returncode == 0:
                return done.stdout.strip()
            self.assertLess(time.monotonic(), deadline, done.stderr)
            time.sleep(2)

    def assert_meet(self, via, one, other):
        """Each of two servers pings the other, and gives it a file.

        :param via: namespace from which both are logged in to.
        """
        for here, there in ((one, other), (other, one)):
            self.ssh(via, here, f'ping -q -c 3 {there}')
            self.give(via, here, there)

    def give(self, via, here, there):
        """Copy a file from one server to another by SSH, and compare."""
        key = self.lab.folders.ssh_key.read_text()
        self.ssh(via, here, 'umask 077; cat >/root/key', stdin=key)
        name = f'/root/{secrets.token_hex(8)}'
        self.ssh(via, here, f'head -c {FILE_BYTES} /dev/urandom >{name}')
        self.ssh(
            via,
            here,
            'scp -q -i /root/key -oBatchMode=yes -oStrictHostKeyChecking=no '
            f'-oUserKnownHostsFile=/dev/null {name} root@{there}:{name}',
        )
        sums = [
            self.ssh(via, address, f'sha256sum {name}')
            for address in (here, there)
        ]
        self.assertEqual(sums[0], sums[1])

    def heard(self, where, sender, targets):
        """Ping from a namespace; count what comes out at a port.

        :param where: namespace and interface that a server is behind.
        :param sender: namespace and address that packets are from.
        :param targets: addresses that are pinged.
        :returns: how many of them answered; how many frames from the sender
            or about it (ARP) were seen.
        """
        space, port = where
        begin, address = sender
        log = self.lab.folders.log / 'heard.log'
        log.unlink(missing_ok=True)
        capture = process.start(
            [*network.nsenter(space), 'tcpdump', '-Z', 'root', '-n', '-l']
            + ['-i', port, 'host', address],
            log=log,
        )
        try:
            self.wait_for(
                lambda: 'listening on' in log.read_text(), 'tcpdump', HEARD_S
            )
            answered = [
                target
                for target in targets
                if not process.run(
                    [*network.nsenter(begin), 'ping', '-q', '-c', '5']
                    + ['-W', '2', target],
                    timeout_s=60,
                    check=False,
                ).returncode
            ]
        finally:
            capture.send_signal(signal.SIGINT)
            capture.wait(HEARD_S)
        return len(answered), int(CAPTURED.search(log.read_text())[1])

    def behind(self, server):
        """Return the namespace and the interface that a server is behind."""
        if self.host_of(server) != self.site.vm_host.name:
            return layout.NAMESPACE, self.tap
        (port,) = self.ports(server)
        # nova.network.model: NIC_NAME_LEN.
        return self.site.vm_host.namespace, f'tap{port.id}'[:14]


def ask(member, name, wanted, image=None):
    """Ask for a server, and do not wait."""
    return member.compute.create_server(
        name=name,
        flavor_id=member.compute.find_flavor(FLAVORS[name]).id,
        image_id=image or member.image.find_image(world.IMAGE).id,
        key_name='demo',
        networks=[{'uuid': member.network.find_network(wanted).id}],
    )


def address_of(server, name):
    """Return the address that a server has on a network."""
    return server.addresses[name][0]['addr']
