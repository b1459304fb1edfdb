# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults share: nodes to break, and what a person reads.

A fault is switched on by `zsbm-lab fault`, its message is read by `openstack
baremetal node history list`; the time runs from the fault to the message.
What only waits asks the API itself: a command takes seconds to start.
"""

import json
import time

from testtools import content

from tests.e2e import base
from zsbm_ironic.lab import bench, layout, network
from zsbm_ironic.netboot import desired, status

# The longest that a person waits for the message.
BMC_S = 60
NETBOOT_S = 120
POLL_S = 2
LONGEST_S = 900
# Slots of a BMC are few: what we leave open at most.
SESSIONS = 2
WAITING = ('inspect wait', 'clean wait', 'wait call-back')


class FaultTest(base.LabTest):
    """A test that breaks something; all of it is mended afterwards."""

    def setUp(self):
        super().setUp()
        self.seen = set()
        self.fault('clear')
        self.addCleanup(self.fault, 'clear')

    def fault(self, kind, *words):
        """Switch a fault on and start the clock."""
        self.zsbm_lab('fault', kind, *(str(word) for word in words))
        self.began = time.monotonic()

    def enrolled(self, name):
        """Return a server with a new node, of which nothing is verified."""
        server = self.server(name)
        self.remove(server)
        node = server.enrolment()
        if server.machine.protocol == 'redfish':
            pin = bench.fingerprint(server.machine, self.lab.folders)
            node['driver_info']['bmc_cert_fingerprint'] = pin
        self.create(server, node)
        self.addCleanup(self.remove, server)
        return server

    def create(self, server, *nodes):
        """Create nodes from a file, as a person with many servers does."""
        path = server.folder / 'servers.json'
        path.write_text(json.dumps({'nodes': nodes}))
        path.chmod(0o600)
        self.addCleanup(path.unlink, missing_ok=True)
        server.baremetal('create', str(path))

    def managed(self, name):
        """Return a server with a new node in state manageable."""
        server = self.enrolled(name)
        server.provision('manage')
        return server

    def remove(self, server, name=None):
        """Take a node away, whatever it does, and switch its machine off."""
        node = f'nodes/{name or server.machine.name}'
        if self.api('GET', node)[0] != 404:
            self.api('PUT', f'{node}/maintenance', {})
            self.until(lambda: self.api('DELETE', node)[0] < 300, 120, node)
        self.bmc(server).power('off')

    def field(self, server, name):
        """Return one field of the server's node."""
        return self.api('GET', f'nodes/{server.machine.name}')[1][name]

    def provision_state(self, server):
        """Return its provision state."""
        return self.field(server, 'provision_state')

    def bmc(self, server):
        """Return what presses the buttons of the machine itself."""
        return bench.client(server.machine, self.lab.folders)

    def events(self, server):
        """Return the events of node history by their id."""
        path = f'nodes/{server.machine.name}/history?detail=true'
        found = self.api('GET', path)[1]['history']
        return {event['uuid']: event['event'] for event in found}

    def note(self, server):
        """Take what history holds now as known."""
        self.seen |= set(self.events(server))

    def told(self, server, *parts, within_s):
        """Wait for a new event that names the node and has all parts.

        The event is then read as a person reads it.

        :returns: its text.
        """
        while True:
            fresh = {
                uuid: text
                for uuid, text in self.events(server).items()
                if uuid not in self.seen
            }
            after_s = time.monotonic() - self.began
            found = [
                uuid
                for uuid, text in fresh.items()
                if all(part in text for part in parts)
            ]
            if found:
                break
            self.assertLess(
                after_s, within_s, f'no {parts} in {fresh.values()}'
            )
            time.sleep(POLL_S)
        name = server.machine.name
        text = server.baremetal(
            *('node', 'history', 'get', name, found[0]),
            *('-f', 'value', '-c', 'event'),
        ).stdout
        self.addDetail(
            parts[0], content.text_content(f'{after_s:.0f} s: {text}')
        )
        self.assertTrue(name in text or self.field(server, 'uuid') in text)
        return text

    def until(self, condition, within_s, what=''):
        """Wait until a condition is true."""
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(POLL_S)
        return found

    def starts(self, server, verb, state):
        """Ask for a provision verb and wait for a state on its way."""
        server.baremetal('node', verb, server.machine.name)
        self.until(lambda: self.provision_state(server) == state, 180, state)

    def leaves(self, server, *states):
        """Wait until the node is in none of these states."""
        self.until(
            lambda: self.provision_state(server) not in states,
            LONGEST_S,
            states,
        )

    def gives_up(self, server):
        """Abort what waits for its ramdisk and go back to manageable."""
        path = f'nodes/{server.machine.name}/states/provision'
        self.api('PUT', path, {'target': 'abort'})
        self.until(
            lambda: self.provision_state(server) not in WAITING, 60, 'abort'
        )
        self.api('PUT', path, {'target': 'manage'})
        self.until(
            lambda: self.provision_state(server) == 'manageable', 60, 'manage'
        )

    def boots_again(self, server):
        """Try again, as far as the boot service has a part in it.

        The machine asks for its address and takes kernel and ramdisk.
        """
        began = time.time()
        self.starts(server, 'inspect', 'inspect wait')
        self.until(
            lambda: 'ramdisk' in self.happened(server, began),
            LONGEST_S,
            'the ramdisk is not fetched',
        )
        self.gives_up(server)

    def happened(self, server, began):
        """Return the names of what the timeline has since a time."""
        path = f'nodes/{server.machine.name}/vendor_passthru'
        found = self.api('GET', f'{path}?method=boot_timeline')[1]
        return {
            event['name']
            for event in found['events']
            if event['timestamp'] > began
        }

    def power(self, server, target):
        """Ask for a power state and wait until ironic shows it."""
        server.baremetal('node', 'power', target, server.machine.name)
        wanted = f'power {target}'
        self.until(
            lambda: self.field(server, 'power_state') == wanted, BMC_S, wanted
        )

    def record(self, server):
        """Return what the boot service is told of the machine's MAC."""
        root = self.lab.folders.conductor(1) / 'netboot'
        state = desired.DesiredState(root / 'desired')
        return state.read(server.machine.nics[0].mac)

    def leases(self, server):
        """Return the addresses that the machine's MAC has leased."""
        root = self.lab.folders.conductor(1) / 'netboot'
        mac = server.machine.nics[0].mac
        found = status.Status(root / 'status').leases()
        return [address for address, owner in found.items() if owner == mac]

    def assert_nothing_left(self, server):
        """Without its node, a machine leaves nothing on the management node.

        No desired state, no lease, no session that the BMC holds for us, one
        set of servers, and no address of the lab but its own.
        """
        self.remove(server)
        self.until(lambda: self.record(server) is None, 60, 'a record stays')
        self.until(lambda: not self.leases(server), 60, 'a lease stays')
        # Ours end when the conductor notices; upstream keeps its own.
        self.until(
            lambda: max(self.sessions(server)) <= SESSIONS, 60, 'sessions stay'
        )
        self.assertEqual(1, self.listeners(layout.HTTP_PORT))
        self.assertFalse(network.exists(f'{layout.NAMESPACE}-rogue'))

    def sessions(self, server):
        """Return how many sessions the BMC holds, by each protocol."""
        found = self.bmc(server).status()
        return [
            found.get(protocol, {}).get('sessions', 0)
            for protocol in ('ipmi', 'redfish')
        ]

    def listeners(self, port):
        """Return how many sockets of the lab listen on a TCP port."""
        done = self.lab_exec('ss', '-Hltn', f'sport = :{port}')
        return len(done.stdout.splitlines())

    def lab_exec(self, *words):
        """Run a command inside the lab's network, as a person does."""
        return self.zsbm_lab('exec', '--', *words)
