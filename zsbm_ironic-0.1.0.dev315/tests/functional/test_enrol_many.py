# SPDX-License-Identifier: Apache-2.0
"""The examples of "enrol 100 servers from one file", as a reader runs them."""

import csv
import pathlib
import sys

import fixtures

from tests.functional import ironic_service
from zsbm_ironic.common import process

EXAMPLES = pathlib.Path(__file__).parents[2] / 'doc/source/user'


class TestEnrolMany(ironic_service.TestCase):
    def _created(self, path):
        status, output = self.ironic.baremetal('create', str(path))
        self.assertEqual(0, status, output)
        nodes = {node.name: node for node in self.api.nodes(details=True)}
        for node in nodes.values():
            self.addCleanup(self._delete, node.id)
        return nodes

    def test_the_file_of_the_page(self):
        nodes = self._created(EXAMPLES / 'servers.yaml')
        self.assertEqual({'web-1', 'db-1'}, nodes.keys())
        (port,) = self.api.ports(node=nodes['db-1'].id)
        self.assertEqual('52:54:00:00:00:12', port.address)

    def test_a_hundred_from_a_spreadsheet(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        with (folder / 'rack.csv').open('w', newline='') as sink:
            table = csv.writer(sink)
            table.writerow(['name', 'address', 'username', 'password', 'mac'])
            for number in range(100):
                mac = f'52:54:00:00:01:{number:02x}' if number % 2 else ''
                address = f'192.0.2.{number + 1}'
                table.writerow([f's{number}', address, 'op', 'a,"b', mac])
        done = process.run(
            [
                sys.executable,
                EXAMPLES / 'servers_from_csv.py',
                folder / 'rack.csv',
            ],
            timeout_s=30,
        )
        (folder / 'servers.json').write_text(done.stdout)
        nodes = self._created(folder / 'servers.json')
        self.assertEqual(100, len(nodes))
        self.assertEqual(50, len(list(self.api.ports())))
        info = nodes['s7'].driver_info
        self.assertEqual('192.0.2.8', info['bmc_address'])
