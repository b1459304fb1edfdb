# SPDX-License-Identifier: Apache-2.0
"""The hardware of a node on its way through Ironic, and back.

What a real ramdisk keeps of a real machine: tests/e2e/test_rehearse.py.
"""

import dataclasses
import json

import testtools

from zsbm_ironic.image import exception, hardware, inventory

FIRST, SECOND = '52:54:00:5a:00:01', '52:54:00:5a:00:02'


class InventoryTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        server = hardware.PROFILES['uefi-nvme'].with_macs([FIRST, SECOND])
        self.server = dataclasses.replace(server, name='this server')

    def back(self, data: object, macs: list[str]) -> hardware.Hardware:
        text = json.dumps({'plugin_data': {inventory.KEY: data}})
        return inventory.of_inventory('web-3', json.loads(text), macs)

    def test_there_and_back(self) -> None:
        for size in (None, 480 << 30):
            found = self.back(inventory.kept(self.server, size), [])
            expected = dataclasses.replace(
                self.server, name='web-3', disk_bytes=size
            )
            self.assertEqual(expected, found)

    def test_nics_are_in_the_order_of_ports(self) -> None:
        found = self.back(
            inventory.kept(self.server, None), [SECOND.upper(), FIRST]
        )
        self.assertEqual([SECOND, FIRST], [nic.mac for nic in found.nics])

    def test_not_inspected_by_us(self) -> None:
        for whole in ({}, {'plugin_data': None}, {'plugin_data': {}}):
            error = self.assertRaises(
                exception.NotInspected,
                inventory.of_inventory,
                'web-3',
                whole,
                [],
            )
            self.assertIn('node inspect web-3', str(error))

    def test_what_a_node_says_is_checked(self) -> None:
        error = self.assertRaises(
            exception.HardwareInvalid,
            self.back,
            {**inventory.kept(self.server, None), 'firmware': 'coreboot'},
            [],
        )
        self.assertIn('web-3', str(error))
