# SPDX-License-Identifier: Apache-2.0
"""What a rehearsal is made of; whole ones are in test_before_the_server."""

import dataclasses
import pathlib
import struct
import time

import fixtures
import testtools

from tests.unit.image import made_up
from zsbm_ironic.image import (
    consoles,
    editing,
    ext,
    hardware,
    rehearse,
    system,
    tree,
    twin,
    volumes,
)
from zsbm_ironic.lab.images import disk
from zsbm_ironic.machine import spec

SAS = 'pci:v00001000d0000005Bsv00001000sd00009266bc01sc04i00'
IGB = 'pci:v00008086d000010C9sv00008086sd00000000bc02sc00i00'
MAC = '52:54:00:5a:00:07'
SAID = (
    (
        rehearse.Stage.NOTHING,
        'BdsDxe: No bootable option or device was found.',
    ),
    (rehearse.Stage.LOADER, 'GRUB loading.'),
    (rehearse.Stage.KERNEL, '[    0.000000] Linux version 6.1.0-9-amd64'),
    (rehearse.Stage.INITRAMFS, 'Welcome to Debian 12 dracut-059 (Initramfs)!'),
    (rehearse.Stage.INITRAMFS, 'Loading, please wait...'),
    (
        rehearse.Stage.SYSTEM,
        'Welcome to \x1b[1;31mDebian GNU/Linux 12\x1b[0m!',
    ),
    (rehearse.Stage.UP, '\r\nweb login: '),
    (
        rehearse.Stage.UP,
        '[  \x1b[0;32m OK  \x1b[0m] Reached target '
        '\x1b[0;1;39mmulti-user.target\x1b[0m - Multi-User System.',
    ),
)


class StageTest(testtools.TestCase):
    def test_by_what_consoles_say(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for stage, text in SAID:
            log = folder / 'log'
            log.write_text(text)
            said = rehearse.console(log)
            self.assertEqual(stage, rehearse.stage_of(said), text)

    def test_it_is_at_an_end(self) -> None:
        for text in (
            '>>Start PXE over IPv4.',
            '>>Start HTTP Boot over IPv6..',
            'Boot failed: not a bootable disk',
            'BdsDxe: No bootable option or device was found.',
            'Dropping to a shell!',
        ):
            self.assertTrue(rehearse.ENDS.search(text), text)
        for stage, text in SAID:
            if stage is not rehearse.Stage.NOTHING:
                self.assertIsNone(rehearse.ENDS.search(text), text)

    def test_of_nothing(self) -> None:
        said = rehearse.console(pathlib.Path('/nowhere'))
        self.assertEqual(rehearse.Stage.NOTHING, rehearse.stage_of(said))


class ConsoleTest(testtools.TestCase):
    def test_it_stands_still(self) -> None:
        room = 'zsbm_ironic.image.rehearse'
        for name in ('STILL_S', 'FIRMWARE_STILL_S'):
            patch = fixtures.MonkeyPatch(f'{room}.{name}', 0.2)
            self.useFixture(patch)
        log = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'log')
        told = rehearse.Console(log)
        self.assertFalse(told.is_still)
        time.sleep(0.3)
        self.assertEqual('', told.read())
        self.assertTrue(told.is_still)
        log.write_text('Booting from Hard Disk...\n')
        told.read()
        self.assertFalse(told.is_still)

    def test_firmware_is_not_silent_for_long(self) -> None:
        self.assertLess(rehearse.FIRMWARE_STILL_S, rehearse.STILL_S)
        self.assertLess(rehearse.STILL_S, rehearse.LIMIT_S)


class TwinTest(testtools.TestCase):
    def test_profiles_have_one_of_their_own(self) -> None:
        for name, bus, model in (
            ('bios-sata', 'sata', 'e1000e'),
            ('uefi-nvme', 'nvme', 'e1000e'),
            ('vm-uefi', 'virtio', 'virtio-net-pci'),
        ):
            server = hardware.PROFILES[name]
            other = twin.of(server)
            self.assertEqual(server, other.hardware)
            self.assertEqual((bus, (model,)), (other.bus, other.models))
            self.assertEqual((), other.stand_ins)

    def test_what_qemu_has_not_is_told(self) -> None:
        server = dataclasses.replace(
            hardware.PROFILES['uefi-nvme'],
            name='web-3',
            disk=(SAS, 'scsi:t-0x00'),
            nics=(hardware.Nic(IGB, MAC),),
        )
        other = twin.of(server)
        self.assertEqual('the twin of web-3', other.hardware.name)
        self.assertEqual(MAC, other.hardware.nics[0].mac)
        self.assertIn(SAS, other.stand_ins[0])
        self.assertIn(IGB, other.stand_ins[1])
        made = other.spec(
            spec.Disk('virtio', pathlib.Path('disk'), 'raw'),
            pathlib.Path('folder'),
        )
        self.assertEqual('sata', made.disks[0].bus)
        self.assertEqual(spec.Firmware.UEFI, made.firmware)
        self.assertEqual(MAC, made.nics[0].mac)

    def test_frames_are_counted_by_their_source(self) -> None:
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'pcap')
        self.assertEqual(0, twin.sent(file, MAC))
        own = bytes(6) + bytes.fromhex(MAC.replace(':', '')) + b'rest'
        other = bytes(12) + b'longer rest'
        with file.open('wb') as sink:
            sink.write(bytes(24))
            for frame in (own, other, own):
                sink.write(struct.pack('<IIII', 0, 0, len(frame), 99) + frame)
            # QEMU is writing it.
            sink.write(b'\x01\x02')
        self.assertEqual(2, twin.sent(file, MAC))


class ConsolesTest(testtools.TestCase):
    def test_the_first_entry_speaks(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        image = made_up.Image(folder)
        menu = image.files['boot/grub/grub.cfg'].decode()
        menu = menu.replace(' ro\n', ' ro quiet\n')
        image.files['boot/grub/grub.cfg'] = (menu + menu).encode()
        found = system.find(volumes.read(image.write()))
        assert found is not None
        change = editing.Editing(found)
        consoles.speak(found, change)
        text = tree.text(
            ext.ExtTree(folder / 'disk.raw', disk.MIB), '/boot/grub/grub.cfg'
        )
        first, second = (
            line for line in text.splitlines() if 'vmlinuz' in line
        )
        self.assertNotIn('quiet', first)
        self.assertTrue(
            first.endswith('ro console=ttyS0,115200 systemd.show_status=1')
        )
        self.assertIn('ro quiet', second)
        self.assertEqual(['console'], [one.key for one in change.changes])
