# SPDX-License-Identifier: Apache-2.0
"""Command lines; that QEMU takes them is shown by test_machine."""

import pathlib

from oslotest import base

from zsbm_ironic import machine
from zsbm_ironic.machine import command
from zsbm_ironic.machine import exception as machine_exception

BootDevice = machine.BootDevice


def _spec(**changes):
    values = {
        'name': 'm1',
        'firmware': machine.Firmware.BIOS,
        'state_dir': pathlib.Path('/nowhere'),
        'disks': (
            machine.Disk('sata', pathlib.Path('/d,0')),
            machine.Disk('nvme', pathlib.Path('/d1'), 'raw'),
        ),
        'nics': (
            machine.Nic('e1000e', '52:54:00:00:00:01', tap='tap-m1'),
            machine.Nic('virtio-net-pci', '52:54:00:00:00:02', boot_rom=False),
        ),
        **changes,
    }
    return machine.MachineSpec(**values)


class TestBootIndexes(base.BaseTestCase):
    def test_chosen_first_then_the_rest(self):
        self.assertEqual(
            {'net0': 1, 'net1': 2, 'disk0': 3, 'disk1': 4},
            command.boot_indexes(_spec(), [BootDevice.NETWORK]),
        )
        self.assertEqual(
            {'disk0': 1, 'disk1': 2, 'net0': 3, 'net1': 4},
            command.boot_indexes(_spec(), [BootDevice.DISK]),
        )

    def test_cd_drive_only_when_chosen(self):
        indexes = command.boot_indexes(_spec(), [BootDevice.CDROM])
        self.assertEqual(1, indexes['cd0'])
        self.assertEqual(2, indexes['disk0'])

    def test_firmware_that_loses_the_network_by_an_order_is_told_none(self):
        for arch in ('riscv64', 'loongarch64'):
            spec = _spec(arch=arch)
            for device in (BootDevice.NETWORK, BootDevice.HTTP):
                self.assertEqual({}, command.boot_indexes(spec, [device]))
            self.assertEqual(
                1, command.boot_indexes(spec, [BootDevice.DISK])['disk0']
            )


class TestArguments(base.BaseTestCase):
    def _arguments(self, *order, accelerator='tcg', **changes):
        return command.arguments(_spec(**changes), order, accelerator)

    def test_disks_and_cards(self):
        words = ' '.join(self._arguments(BootDevice.NETWORK))
        self.assertIn('file=/d,,0,format=qcow2', words)
        self.assertIn('nvme,drive=disk1-image,id=disk1,serial=m1-disk1', words)
        self.assertIn('tap,id=net0-link,ifname=tap-m1,script=no', words)
        self.assertIn(
            'e1000e,netdev=net0-link,id=net0,mac=52:54:00:00:00:01,bootindex=1',
            words,
        )
        self.assertIn('mac=52:54:00:00:00:02,romfile=,bootindex=2', words)

    def test_own_netdev(self):
        nic = machine.Nic('e1000e', '52:54:00:00:00:01', netdev='user,net=x')
        words = self._arguments(nics=(nic,))
        self.assertIn('user,id=net0-link,net=x', words)

    def test_secure_boot_is_guarded_by_system_management_mode(self):
        words = ' '.join(
            self._arguments(firmware=machine.Firmware.UEFI_SECUREBOOT)
        )
        self.assertIn('smm=on', words)
        self.assertIn('driver=cfi.pflash01,property=secure,value=on', words)
        self.assertIn('OVMF_CODE_4M.secboot.fd', words)

    def test_http_boot_takes_pxe_away(self):
        words = ' '.join(
            self._arguments(BootDevice.HTTP, firmware=machine.Firmware.UEFI)
        )
        self.assertIn('opt/org.tianocore/IPv4PXESupport,string=no', words)

    def test_too_many_sata_disks(self):
        disks = tuple(
            machine.Disk('sata', pathlib.Path(f'/d{number}'))
            for number in range(6)
        )
        error = self.assertRaises(
            machine_exception.MachineInvalid, self._arguments, disks=disks
        )
        self.assertIn('6 sata disks', str(error))

    def test_no_bios_on_arm(self):
        error = self.assertRaises(
            machine_exception.FirmwareMissing, self._arguments, arch='aarch64'
        )
        self.assertIn('Declare firmware uefi', str(error))
