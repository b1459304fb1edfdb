# SPDX-License-Identifier: Apache-2.0
"""Each quirk is sent to a BMC, and read back from the bytes that arrived."""

from oslotest import base

from tests import bmcs
from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.bmc import credentials, ipmi, quirks

Disk = bmc_base.BootDevice.DISK


class TestQuirks(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.fixture = self.useFixture(bmcs.PyghmiBmc())
        self.bmc = ipmi.IpmiBmc(
            credentials.Credentials.from_driver_info(
                self.fixture.driver_info()
            )
        )
        self.addCleanup(self.bmc.close)

    def sent(self, maker, device, efi):
        """Set a boot device once; return the flag bytes that arrived."""
        setting = bmc_base.BootSetting(device, persistent=False, efi=efi)
        self.bmc.set_boot_device(setting, quirk=quirks.of(maker))
        return self.fixture.machine.boot_flags[-1]

    def test_supermicro_disk(self):
        self.assertEqual(b'\xa0\x24', self.sent('Supermicro', Disk, True))
        self.assertEqual(b'\x80\x08', self.sent('Supermicro', Disk, False))

    def test_everybody_else_gets_the_specification(self):
        for maker in ('', 'nobody', 'dell'):
            self.assertEqual(b'\xa0\x08', self.sent(maker, Disk, True))

    def test_each_quirk_arrives_and_differs(self):
        for quirk in quirks.QUIRKS:
            self.assertEqual(quirk.maker, quirk.maker.lower())
            self.assertTrue(quirk.why)
            for efi in (False, True):
                for device, selector in quirk.boot_devices(efi).items():
                    arrived = self.sent(quirk.maker, device, efi)
                    self.assertEqual(selector, arrived[1])
                    self.assertNotEqual(ipmi.BOOT_DEVICES[device], arrived[1])
