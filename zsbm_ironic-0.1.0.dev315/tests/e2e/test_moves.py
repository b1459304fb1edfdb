# SPDX-License-Identifier: Apache-2.0
"""Nodes move between upstream's types and `zsbm` while their servers run.

Upstream's types deploy the server first, with their own interfaces and our
DHCP provider. Nothing that follows may restart it: the kernel draws a new
number at each boot, and the number stays.
"""

import json

from tests.e2e import base


class MovesTest(base.LabTest):
    """One row for each of upstream's types, there and back."""

    def test_active_ipmi_node(self):
        self.there_and_back('metal-bios')

    def test_active_redfish_node(self):
        self.there_and_back('metal-uefi')

    def there_and_back(self, name):
        server = self.enrolled_as_stock(name)
        stock = server.field('driver')
        server.provision('provide')
        server.describe_instance(self.image())
        server.forget_host_key()
        server.deploy()
        self.running = self.boot_id(server)
        self.refuse_without_maintenance(server)
        for driver in ('zsbm', stock):
            self.move(server, driver)
            self.check(server, driver)

    def refuse_without_maintenance(self, server):
        """Ironic wants maintenance for a change of an active node."""
        done = server.baremetal(
            *('node', 'set', server.machine.name, '--driver', 'zsbm'),
            *('--reset-interfaces', '--power-interface', 'zsbm'),
            check=False,
        )
        self.assertNotEqual(0, done.returncode)
        self.assertIn('maintenance', done.stderr)

    def move(self, server, driver):
        name = server.machine.name
        server.baremetal('node', 'maintenance', 'set', name)
        server.baremetal(
            'node', 'set', name, '--driver', driver, '--reset-interfaces'
        )
        server.baremetal('node', 'maintenance', 'unset', name)

    def check(self, server, driver):
        """Find the node working by its new type, and the server running."""
        name = server.machine.name
        self.assertEqual(driver, server.field('driver'))
        self.assertEqual('active', server.state())
        self.assertEqual('power on', server.field('power_state'))
        for device in ('pxe', 'disk'):
            server.baremetal(
                *('node', 'boot', 'device', 'set', name, device),
                '--persistent',
            )
            done = server.baremetal(
                *('node', 'boot', 'device', 'show', name, '-f', 'json')
            )
            self.assertEqual(device, json.loads(done.stdout)['boot_device'])
        done = server.baremetal('node', 'validate', name, '-f', 'json')
        results = {
            row['Interface']: row['Result'] for row in json.loads(done.stdout)
        }
        for interface in ('power', 'management', 'boot', 'deploy'):
            self.assertTrue(results[interface], done.stdout)
        self.assertEqual(self.running, self.boot_id(server))

    def boot_id(self, server):
        return server.ssh('cat /proc/sys/kernel/random/boot_id')
