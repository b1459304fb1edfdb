# SPDX-License-Identifier: Apache-2.0
"""Two conductors, each with its own boot service: who serves a machine?

Asked on the wire, by a DHCP client with the machine's MAC that collects every
offer: whatever moves the node, exactly one server may make one.
"""

import json
import pathlib
import time

from tests.e2e import base
from tests.functional import dhcp_client
from zsbm_ironic.common import process
from zsbm_ironic.lab import layout, lifecycle, network

STATE = '/var/lib/zsbm-lab-test-cluster'
CLIENT = f'{layout.NAMESPACE}-client'
CLIENT_ADDRESS = '198.51.100.240'
FIRST, SECOND = layout.CONDUCTOR_ADDRESSES
# A heartbeat is missed, the ring turns, the next reconciliation writes.
MOVE_S = 120
GROUP = 'deploy'


class ClusterTest(base.LabTest):
    """A lab of its own, which is gone when the tests end."""

    plan = lifecycle.Plan(conductors=2)
    state = STATE

    @classmethod
    def setUpClass(cls):
        base.make_room()
        super().setUpClass()
        network.create_branch(CLIENT, f'{CLIENT_ADDRESS}/24')

    @classmethod
    def tearDownClass(cls):
        cls.lab.down(wipe=True)
        super().tearDownClass()

    def managed(self, name):
        """Return a machine whose node is made and manageable."""
        server = self.server(name)
        server.enrol()
        server.manage()
        server.baremetal('node', 'set', name, '--no-automated-clean')
        return server

    def conductor_of(self, server):
        """Return the number of the conductor that the node is mapped to."""
        addresses = layout.CONDUCTOR_ADDRESSES
        return 1 + addresses.index(server.field('conductor'))

    def assert_offered_by(self, address, server):
        """Wait until this server offers and no other does."""
        deadline = time.monotonic() + MOVE_S
        while (seen := self.offers(server)) != [address]:
            self.assertLess(time.monotonic(), deadline, f'offers: {seen}')
            time.sleep(1)
        # And it stays so.
        self.assertEqual([address], self.offers(server))

    def offers(self, server):
        """Return the servers that make an offer to the machine."""
        client = dhcp_client.Client(CLIENT, server.machine.nics[0].mac)
        try:
            return sorted(one.server_id for one in client.offers())
        finally:
            client.close()


class TakeOverTest(ClusterTest):
    """A conductor dies, and is back later."""

    def test_conductor_taken_over(self):
        server = self.managed('metal-bios')
        first = self.conductor_of(server)
        other = 3 - first
        self.assert_offered_by(address(first), server)
        self.lab.supervisor.kill(f'conductor-{first}')
        self.lab.supervisor.stop(netboot_name(first))
        self.assert_offered_by(address(other), server)
        self.assertEqual(other, self.conductor_of(server))
        server.provision('inspect')
        self.assertIn('manageable', server.state())
        self.lab.up(self.plan)
        self.assert_offered_by(address(self.conductor_of(server)), server)


class DeployServerTest(ClusterTest):
    """Nodes move to a dedicated deploy server by their conductor group."""

    plan = lifecycle.Plan(conductors=2, second_group=GROUP)

    def test_deploy_server_moved(self):
        server = self.managed('metal-bios')
        name = server.machine.name
        self.assert_offered_by(FIRST, server)
        self.move(server, GROUP)
        self.assert_offered_by(SECOND, server)
        server.provision('inspect')
        server.provision('provide')
        self.assertEqual('available', server.state())
        self.there_and_back(server)
        # A server that runs is none of a deploy server's business: taken
        # into Ironic as it is, without a deploy.
        server.provision('manage')
        server.describe_instance(self.image())
        server.baremetal('node', 'adopt', name, '--wait', '120')
        self.assertEqual('active', server.state())
        self.there_and_back(server)

    def there_and_back(self, server):
        """Move a node of the deploy server away from it and back."""
        self.assert_offered_by(SECOND, server)
        self.move(server, None)
        self.assert_offered_by(FIRST, server)
        self.move(server, GROUP)
        self.assert_offered_by(SECOND, server)

    def move(self, server, group):
        """Move a node to a group; None: to the default one.

        That is the empty string, which only the API can be told: to `node
        unset --conductor-group` Ironic 39 answers 500 (KeyError).
        """
        name = server.machine.name
        if group is not None:
            server.baremetal('node', 'set', name, '--conductor-group', group)
            return
        change = {'op': 'replace', 'path': '/conductor_group', 'value': ''}
        status, answer = self.api('PATCH', f'nodes/{name}', [change])
        self.assertEqual(200, status, answer)


class DownTest(ClusterTest):
    """What `down` leaves of the largest lab: nothing."""

    def test_down_leaves_nothing(self):
        server = self.managed('metal-bios')
        server.baremetal('node', 'power', 'on', server.machine.name)
        self.wait_power(server, 'power on')
        namespaces = base.namespaces()
        self.assertLessEqual(2, len(namespaces))
        self.assertLessEqual(8, len(base.left_of(STATE, namespaces)))
        self.zsbm_lab('down', '--wipe')
        self.assertEqual([], base.left_of(STATE, namespaces))
        self.assertEqual([], base.named_namespaces())
        self.assertNotIn('zsbm-lab', pathlib.Path('/proc/mounts').read_text())
        shown = process.run(['ip', '-j', 'link'], timeout_s=10).stdout
        names = [link['ifname'] for link in json.loads(shown)]
        self.assertEqual([], [one for one in names if one.startswith('tap')])
        self.assertFalse(pathlib.Path(STATE).exists())


def address(number):
    """Return where conductor `number` lives."""
    return layout.CONDUCTOR_ADDRESSES[number - 1]


def netboot_name(number):
    """Return the name of the boot service of conductor `number`."""
    return 'zsbm-netboot' if number == 1 else f'zsbm-netboot-{number}'
