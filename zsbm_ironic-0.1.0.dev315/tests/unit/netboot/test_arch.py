# SPDX-License-Identifier: Apache-2.0
import pathlib

import fixtures
from oslotest import base

from zsbm_ironic.common import exception
from zsbm_ironic.netboot import arch


class TestArchitectures(base.BaseTestCase):
    def test_no_code_means_two_architectures(self):
        codes = [
            code
            for one in arch.ARCHITECTURES
            for code in one.tftp_codes + one.http_codes
        ]
        self.assertEqual(len(codes), len(set(codes)))

    def test_codes_are_those_of_the_registry(self):
        # IANA, "Processor Architecture Types", by name of the registry.
        registry = {
            'x86-bios': {0, 20},
            'x86-32-uefi': {6, 15},
            'x86-64-uefi': {7, 16, 9, 17},
            'arm32-uefi': {10, 18},
            'arm64-uefi': {11, 19},
            'riscv64-uefi': {27, 28},
            'loongarch64-uefi': {39, 40},
        }
        for one in arch.ARCHITECTURES:
            codes = set(one.tftp_codes + one.http_codes)
            self.assertEqual(registry[one.name], codes)

    def test_a_wrong_name_is_answered_with_the_right_ones(self):
        exc = self.assertRaises(
            exception.NetbootSettingInvalid, arch.by_name, 'amd64'
        )
        self.assertIn('x86-64-uefi', str(exc))


class TestPlaceLoaders(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.loader = self.root / 'snponly.efi'
        self.loader.write_bytes(b'MZ loader')
        self.loaders = {
            'x86-64-uefi': str(self.loader),
            'arm64-uefi': str(self.root / 'absent.efi'),
        }

    def place(self):
        return arch.place_loaders(self.loaders, self.root / 'tftp')

    def test_what_is_there_is_copied_and_the_rest_is_named(self):
        absent = self.place()
        self.assertEqual(['arm64-uefi'], [one.name for one in absent])
        copy = self.root / 'tftp/zsbm-loaders/x86-64-uefi.efi'
        self.assertEqual(b'MZ loader', copy.read_bytes())
        self.assertEqual(0o644, copy.stat().st_mode & 0o777)

    def test_a_newer_loader_replaces_the_copy_and_the_same_does_not(self):
        self.place()
        copy = self.root / 'tftp/zsbm-loaders/x86-64-uefi.efi'
        inode = copy.stat().st_ino
        self.place()
        self.assertEqual(inode, copy.stat().st_ino)
        self.loader.write_bytes(b'MZ newer')
        self.place()
        self.assertEqual(b'MZ newer', copy.read_bytes())
