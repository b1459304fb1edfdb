# SPDX-License-Identifier: Apache-2.0
"""Declared machines: what follows from the file, and what is refused."""

import pathlib
import stat

import fixtures
import testtools
from testtools import matchers

from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import machines
from zsbm_ironic.machine import spec

ONE = """
[[machine]]
name = "web-1"
firmware = "uefi-secureboot"
bmc = "ipmi"
disk = [{ bus = "sata", size_gib = 4 }]
nic = [{ model = "e1000e" }, { model = "virtio-net-pci", boot_rom = false }]
"""


class LoadTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.state = self.folder / 'state'

    def load(self, text):
        path = self.folder / 'machines.toml'
        path.write_text(text)
        return machines.load(path, self.state)

    def test_the_defaults_are_one_of_each_kind(self):
        uefi, bios = machines.load(None, self.state)
        self.assertEqual(spec.Firmware.UEFI, uefi.firmware)
        self.assertEqual(('redfish', 443), (uefi.protocol, uefi.bmc_port))
        self.assertEqual('nvme', uefi.disks[0].bus)
        self.assertEqual(spec.Firmware.BIOS, bios.firmware)
        self.assertEqual(('ipmi', 623), (bios.protocol, bios.bmc_port))
        self.assertEqual('sata', bios.disks[0].bus)

    def test_addresses_are_distinct_and_not_loopback(self):
        uefi, bios = machines.load(None, self.state)
        self.assertNotEqual(uefi.bmc_address, bios.bmc_address)
        self.assertNotEqual(uefi.nics[0].mac, bios.nics[0].mac)
        self.assertThat(uefi.bmc_address, matchers.StartsWith('192.0.2.'))

    def test_nics_follow_the_file(self):
        (machine,) = self.load(ONE)
        self.assertEqual([True, False], [n.boot_rom for n in machine.nics])
        self.assertEqual(2, len({nic.tap for nic in machine.nics}))
        for nic in machine.nics:
            # IFNAMSIZ, linux/if.h: 15 characters and a zero.
            self.assertThat(len(nic.tap), matchers.LessThan(16))

    def test_a_password_is_drawn_once_and_for_root_alone(self):
        (first,) = self.load(ONE)
        (second,) = self.load(ONE)
        self.assertEqual(first.bmc_password, second.bmc_password)
        kept = self.state / 'credentials.json'
        self.assertEqual(0o600, stat.S_IMODE(kept.stat().st_mode))
        # IPMI v2.0, 22.30: at most 20 bytes.
        self.assertThat(len(first.bmc_password), matchers.LessThan(21))
        self.assertNotIn(first.bmc_password, repr(first))

    def test_a_file_that_is_wrong_says_where(self):
        for text, part in (
            ('machine = 3', 'machine'),
            ('[[machine]]\nfirmware = "bios"', 'name'),
            (ONE.replace('"ipmi"', '"telnet"'), 'telnet'),
            (ONE.replace('uefi-secureboot', 'openfirmware'), 'openfirmware'),
            (ONE.replace('size_gib = 4', 'size_gib = "big"'), 'big'),
            ('[[machine', 'machine'),
        ):
            failure = self.assertRaises(
                lab_exception.LabSettingInvalid, self.load, text
            )
            self.assertIn(part, str(failure))
            self.assertIn('machines.toml', str(failure))
