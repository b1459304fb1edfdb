# SPDX-License-Identifier: Apache-2.0
"""What tests of a wrong wiring stand on: a server, its switch, the check."""

import contextlib

from openstack import exceptions

from tests.e2e.cloud import case
from zsbm_ironic.lab import bench, demo
from zsbm_ironic.lab.cloud import fabric, servers

# A ramdisk comes up, or the switch is asked why it does not.
INSPECTED_S = 1200


class WiringTest(case.CloudTest):
    """A server that is enrolled as it is plugged in."""

    def setUp(self):
        super().setUp()
        fingerprint = bench.fingerprint(self.machine, self.lab.folders)
        self.uuid = self.as_(
            'system',
            lambda one: servers.make_manageable(
                one, self.machine, fingerprint
            ),
        )
        self.addCleanup(self.as_plugged)

    def as_plugged(self):
        """Say of each port where it is; forget what went wrong."""

        def mend(operator):
            node = operator.baremetal.get_node(self.uuid)
            if node.provision_state == 'inspect failed':
                servers.go(operator, self.uuid, 'manage')
            for port, nic in self._ports(operator):
                operator.baremetal.update_port(
                    port,
                    local_link_connection=servers.link_of(nic.tap),
                    physical_network=fabric.PHYSICAL_NETWORK,
                )

        self.as_('system', mend)

    def says(self, number, **link):
        """Say of a port that it is somewhere else.

        :param number: of the NIC.
        :param link: what differs in local_link_connection.
        """

        def change(operator):
            for port, nic in self._ports(operator):
                if nic is self.machine.nics[number]:
                    operator.baremetal.update_port(
                        port,
                        local_link_connection={
                            **servers.link_of(nic.tap),
                            **link,
                        },
                    )

        self.as_('system', change)

    def _ports(self, operator):
        nics = {nic.mac: nic for nic in self.machine.nics}
        return [
            (port, nics[port.address])
            for port in operator.baremetal.ports(node=self.uuid, details=True)
        ]

    def check(self, network=None):
        """Return what `network check` finds, by the name of each check."""
        arguments = {'network': network} if network else {}

        def ask(operator):
            answer = operator.baremetal.call_node_vendor_passthru(
                self.uuid, 'GET', 'network_check', arguments or None
            )
            return answer.json()['findings']

        return self.as_('system', ask)

    def wrong(self, network=None):
        return {
            one['check']: one
            for one in self.check(network)
            if one['state'] == 'wrong'
        }

    def inspect(self):
        """Boot the ramdisk; return the node when it is inspected, or not."""

        def try_it(operator):
            operator.baremetal.set_node_provision_state(self.uuid, 'inspect')
            return operator.baremetal.wait_for_nodes_provision_state(
                [self.uuid],
                'manageable',
                timeout=INSPECTED_S,
            )

        with contextlib.suppress(
            exceptions.ResourceTimeout, exceptions.ResourceFailure
        ):
            self.as_('system', try_it)
        return self.node()

    def node(self):
        return self.as_(
            'system', lambda one: one.baremetal.get_node(self.uuid)
        )

    def history(self):
        """Return what went wrong so far, the last first."""

        def read(operator):
            answer = operator.baremetal.get(
                f'/nodes/{self.uuid}/history?detail=true', microversion='1.78'
            )
            return [one['event'] for one in answer.json()['history']][::-1]

        return self.as_('system', read)

    def assert_refused(self, check, means, *words):
        """Ask; see that it is found by these means, and that a boot is not.

        :param words: that its text has.
        """
        found = self.wrong()
        self.assertIn(check, found)
        self.assertEqual(means, found[check]['means'])
        for word in words:
            self.assertIn(word, found[check]['detail'])
        self.assertNotEqual('', found[check]['remedy'])
        node = self.inspect()
        self.assertEqual('inspect failed', node.provision_state)
        self.assertIn(check, node.last_error or self.history()[0])
        self.assertEqual([], self.metal_ports())

    def metal_ports(self):
        """Return ports of Neutron that Ironic made, or has bound."""
        return self.as_(
            'admin',
            lambda one: [
                port.id
                for port in one.network.ports()
                if port.binding_host_id == self.uuid
            ],
        )

    def other(self):
        return demo.find(self.lab.declared(), 'metal-bios')
