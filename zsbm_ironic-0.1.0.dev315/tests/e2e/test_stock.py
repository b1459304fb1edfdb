# SPDX-License-Identifier: Apache-2.0
"""Nodes of upstream's types on the same conductor, with our provider.

The provider `zsbm` serves a whole conductor, so upstream's types with their
own boot interfaces have to work as before. Deploys by them: see test_moves.
"""

import json
import pathlib

import fixtures

from tests.e2e import base


class StockTest(base.LabTest):
    """One row for each of upstream's types that boots."""

    def test_ipmi_node_is_inspected(self):
        server = self.enrolled_as_stock('metal-bios')
        server.provision('inspect')
        self.assertEqual('ipmi', server.field('driver'))
        boot = self.inventory(server)['boot']
        self.assertEqual('bios', boot['current_boot_mode'])

    def inventory(self, server):
        """Return what the ramdisk found."""
        folder = self.useFixture(fixtures.TempDir()).path
        path = pathlib.Path(folder, 'inventory.json')
        server.baremetal(
            *('node', 'inventory', 'save', server.machine.name),
            *('--file', str(path)),
        )
        return json.loads(path.read_text())['inventory']
