# SPDX-License-Identifier: Apache-2.0
"""What a ramdisk reads from /sys of a server."""

import os
import pathlib

import fixtures
import testtools

from zsbm_ironic.image import hardware
from zsbm_ironic.ramdisk import this_server

BRIDGE = 'pci:v00001B36d0000000Csv00000000sd00000000bc06sc04i00'
NVME = 'pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02'
AHCI = 'pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01'
DISK = 'scsi:t-0x00'
NIC = 'pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00'
FIRST, SECOND = '52:54:00:5a:00:02', '52:54:00:5a:00:01'


class ThisServerTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.sys = self.root / 'sys'

    def write(self, path: str, text: str) -> None:
        place = self.sys / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + '\n')

    def link(self, path: str, target: str) -> None:
        place = self.sys / path
        place.parent.mkdir(parents=True, exist_ok=True)
        (self.sys / target).mkdir(parents=True, exist_ok=True)
        place.symlink_to(self.sys / target)

    def found(self, disk: str) -> hardware.Hardware:
        return this_server.hardware_of(disk, [FIRST.upper()], self.root)

    def test_nvme_behind_a_bridge_on_uefi(self) -> None:
        (self.sys / 'firmware/efi').mkdir(parents=True)
        device = 'devices/pci0000:00/0000:00:1c.0/0000:01:00.0'
        self.write('devices/pci0000:00/0000:00:1c.0/modalias', BRIDGE)
        self.write(f'{device}/modalias', NVME)
        self.link('class/block/nvme0n1', f'{device}/nvme/nvme0/nvme0n1')
        server = self.found('/dev/nvme0n1')
        self.assertEqual(hardware.Firmware.UEFI, server.firmware)
        self.assertEqual(os.uname().machine, server.architecture)
        self.assertEqual((NVME,), server.disk)

    def test_nvme_with_several_paths(self) -> None:
        subsystem = 'devices/virtual/nvme-subsystem/nvme-subsys0'
        for number in range(2):
            device = f'devices/pci0000:00/0000:0{number}:00.0'
            self.write(f'{device}/modalias', NVME)
            self.link(f'{subsystem}/nvme{number}', f'{device}/nvme/nvme0')
        self.link('class/block/nvme0n1', f'{subsystem}/nvme0n1')
        self.link(f'{subsystem}/nvme0n1/device', subsystem)
        self.assertEqual((NVME,), self.found('/dev/nvme0n1').disk)

    def test_sata_on_bios(self) -> None:
        device = 'devices/pci0000:00/0000:00:1f.2'
        target = f'{device}/ata1/host0/target0:0:0/0:0:0:0'
        self.write(f'{device}/modalias', AHCI)
        self.write(f'{target}/modalias', DISK)
        self.link('class/block/sda', f'{target}/block/sda')
        server = self.found('/dev/sda')
        self.assertEqual(hardware.Firmware.BIOS, server.firmware)
        self.assertEqual((DISK, AHCI), server.disk)

    def test_a_raid_is_its_members(self) -> None:
        for name, alias in (('sda', AHCI), ('nvme0n1', NVME)):
            device = f'devices/pci0000:00/{name}'
            self.write(f'{device}/modalias', alias)
            self.link(f'class/block/{name}', f'{device}/block/{name}')
            self.link(f'class/block/md0/slaves/{name}', f'other/{name}')
        self.assertEqual((NVME, AHCI), self.found('/dev/md0').disk)

    def test_nics_in_the_order_that_is_asked_for(self) -> None:
        for name, mac in (('eth0', SECOND), ('eth1', FIRST)):
            self.write(f'class/net/{name}/address', mac)
            self.write(f'class/net/{name}/device/modalias', NIC)
        self.write('class/net/lo/address', '00:00:00:00:00:00')
        self.assertEqual(
            [FIRST, SECOND], [nic.mac for nic in self.found('/dev/sda').nics]
        )
