# SPDX-License-Identifier: Apache-2.0
"""What a BMC remembers about its machine while that is off."""

import pathlib

import fixtures
from oslotest import base

from zsbm_ironic import machine
from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import qemu

Target = chassis_room.Target


class TestMemory(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def chassis(self, firmware=machine.Firmware.UEFI):
        spec = machine.MachineSpec('metal', firmware, self.state)
        asset = chassis_room.Asset(
            'metal',
            spec.uuid,
            secure_boot=firmware is machine.Firmware.UEFI_SECUREBOOT,
        )
        made = qemu.QemuChassis(machine.Machine(spec), asset)
        self.addCleanup(made.close)
        return made

    def test_boot_device_outlives_the_bmc(self):
        override = chassis_room.BootOverride(Target.PXE, True, True)
        self.chassis().set_boot(override)
        self.assertEqual(override, self.chassis().boot)

    def test_one_time_device_that_was_used_is_gone(self):
        first = self.chassis()
        first.set_boot(chassis_room.BootOverride(Target.PXE))
        self.assertEqual(Target.PXE, first.boot.target)
        first.machine.boot_was_used()
        self.assertEqual(Target.NONE, first.boot.target)

    def test_one_time_replaces_for_good(self):
        """One override: after the one boot the firmware's own order counts."""
        made = self.chassis()
        made.set_boot(chassis_room.BootOverride(Target.PXE, True))
        made.set_boot(chassis_room.BootOverride(Target.CDROM))
        choice = made.machine.boot
        self.assertIs(machine.BootDevice.CDROM, choice.next_boot)
        self.assertIs(machine.BootDevice.DISK, choice.persistent)

    def test_secure_boot_is_other_firmware_with_other_variables(self):
        made = self.chassis()
        before = made.machine.spec.variables
        made.set_secure_boot(True)
        spec = made.machine.spec
        self.assertIs(machine.Firmware.UEFI_SECUREBOOT, spec.firmware)
        self.assertNotEqual(before, spec.variables)
        again = self.chassis()
        self.assertTrue(again.secure_boot)
        self.assertIs(
            machine.Firmware.UEFI_SECUREBOOT, again.machine.spec.firmware
        )

    def test_bios_has_no_secure_boot(self):
        made = self.chassis(machine.Firmware.BIOS)
        made.set_secure_boot(True)
        self.assertIs(machine.Firmware.BIOS, made.machine.spec.firmware)
