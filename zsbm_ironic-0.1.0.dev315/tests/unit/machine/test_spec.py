# SPDX-License-Identifier: Apache-2.0
"""Machines declared as plain values."""

import pathlib

from oslotest import base

from zsbm_ironic import machine


def _values(**changes):
    return {'name': 'm1', 'state_dir': '/nowhere/m1', **changes}


class TestFromMapping(base.BaseTestCase):
    def test_declared_machine(self):
        spec = machine.from_mapping(
            _values(
                firmware='bios',
                memory_mib=1024,
                disks=[
                    {'bus': 'sata', 'path': '/nowhere/disk', 'serial': 'A'}
                ],
                nics=[{'model': 'e1000e', 'mac': '52:54:00:00:00:01'}],
            )
        )
        self.assertIs(machine.Firmware.BIOS, spec.firmware)
        self.assertEqual(pathlib.Path('/nowhere/disk'), spec.disks[0].path)
        self.assertEqual('A', spec.disk_serial(0))
        self.assertTrue(spec.nics[0].boot_rom)

    def test_uefi_unless_told(self):
        spec = machine.from_mapping(_values())
        self.assertTrue(spec.firmware.is_uefi)

    def test_wrong_values_are_refused(self):
        self.assertRaises(
            ValueError, machine.from_mapping, _values(firmware='openfirmware')
        )
        self.assertRaises(
            ValueError,
            machine.from_mapping,
            _values(disks=[{'bus': 'scsi', 'path': '/nowhere/disk'}]),
        )
        self.assertRaises(
            TypeError, machine.from_mapping, _values(colour='red')
        )

    def test_one_name_one_uuid(self):
        spec = machine.from_mapping(_values())
        self.assertEqual(spec.uuid, machine.uuid_of('m1'))
        self.assertNotEqual(spec.uuid, machine.uuid_of('m2'))

    def test_serial_numbers_fit_the_standards(self):
        spec = machine.from_mapping(
            _values(
                name='a-machine-with-a-long-name',
                disks=[
                    {'bus': 'nvme', 'path': '/nowhere/1'},
                    {'bus': 'nvme', 'path': '/nowhere/2'},
                ],
            )
        )
        serials = {spec.disk_serial(0), spec.disk_serial(1)}
        self.assertEqual(2, len(serials))
        self.assertTrue(all(len(serial) <= 20 for serial in serials))
