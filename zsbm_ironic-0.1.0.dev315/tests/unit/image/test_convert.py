# SPDX-License-Identifier: Apache-2.0
"""`zsbm-image convert` on real disks with a made-up OS.

Whether they boot then, machines show: tests/e2e/test_image.py. Boot
loaders are files of a few bytes here.
"""

import re
import subprocess

from tests.unit.image import converting, made_up
from zsbm_ironic.common import process
from zsbm_ironic.image import (
    exception,
    ext,
    initramfs,
    partitions,
    tree,
    volumes,
)
from zsbm_ironic.lab.images import disk

MAC = '52:54:00:5a:00:07'


class FilesTest(converting.ConvertCase):
    def test_a_fit_image_is_copied(self) -> None:
        self.assertEqual((0, {}), self.convert()[:2])
        self.assertEqual(self.source.read_bytes(), self.output.read_bytes())

    def test_names_of_a_bus(self) -> None:
        menu = self.image.files['boot/grub/grub.cfg']
        self.image.files['boot/grub/grub.cfg'] = menu.replace(
            f'UUID={made_up.UUID}'.encode(), b'/dev/vda1'
        )
        self.image.files['etc/default/grub'] = (
            b'GRUB_CMDLINE_LINUX="root=/dev/vda1 quiet"\n'
            b'GRUB_DISABLE_LINUX_UUID=true\n'
        )
        self.image.files['etc/fstab'] = (
            b'# root=/dev/vda1\n'
            b'/dev/vda1\t/ ext4 defaults 0 1\n'
            b'/dev/vdb none swap sw 0 0\n'
            b'/dev/vdc /data ext4 nofail 0 0\n'
            b'tmpfs /tmp tmpfs\n'
        )
        status, changes, _ = self.convert()
        self.assertEqual(0, status)
        self.assertEqual({'mount', 'root'}, set(changes))
        self.assertEqual(
            '# root=/dev/vda1\n'
            f'UUID={made_up.UUID}\t/ ext4 defaults 0 1\n'
            '/dev/vdb none swap sw,nofail 0 0\n'
            '/dev/vdc /data ext4 nofail 0 0\n'
            'tmpfs /tmp tmpfs\n',
            self.text('/etc/fstab'),
        )
        self.assertEqual(
            f'GRUB_CMDLINE_LINUX="root=UUID={made_up.UUID} quiet"\n'
            '#GRUB_DISABLE_LINUX_UUID=true\n',
            self.text('/etc/default/grub'),
        )
        self.assertIn(
            f'root=UUID={made_up.UUID} ', self.text('/boot/grub/grub.cfg')
        )
        self.assert_sound()
        self.assert_again_nothing()

    def test_an_environment_block_keeps_its_size(self) -> None:
        block = b'# GRUB Environment Block\nkernelopts=root=/dev/vda1 ro\n'
        self.image.files |= {
            'boot/grub/grubenv': block.ljust(1024, b'#'),
            'boot/grub/grub.cfg': b'# empty\n',
            'boot/loader/entries/a.conf': (
                b'linux /boot/vmlinuz\ninitrd /boot/initrd.img\n'
                b'options $kernelopts\n'
            ),
        }
        self.assertEqual(0, self.convert()[0])
        text = self.text('/boot/grub/grubenv')
        self.assertEqual(1024, len(text))
        self.assertIn(f'kernelopts=root=UUID={made_up.UUID} ro\n#', text)

    def test_what_a_driver_asks_for_comes_along(self) -> None:
        self.image.ask('ext4', 'crypto-crc32c', 'crc32c_generic')
        status, changes, _ = self.convert()
        self.assertEqual(0, status)
        self.assertIn('crc32c_generic', changes['early-drivers'][0])
        self.assert_again_nothing()

    def test_early_drivers(self) -> None:
        self.image.early = {'ext4'}
        self.image.files['etc/initramfs-tools/conf.d/.keep'] = b''
        status, changes, _ = self.convert()
        self.assertEqual(0, status)
        self.assertEqual({'early-drivers', 'initramfs-settings'}, set(changes))
        self.assertIn('ahci, sd_mod', changes['early-drivers'][0])
        copy = self.folder / 'initramfs'
        self.files().copy('/boot/initrd.img', copy)
        before = self.image.initramfs()
        self.assertEqual(before, copy.read_bytes()[: len(before)])
        self.assertIn(
            'MODULES=most\n', self.text('/etc/initramfs-tools/conf.d/zsbm')
        )
        self.assertEqual('', self.text('/etc/dracut.conf.d/zz-zsbm.conf'))
        self.assert_sound()
        self.assert_again_nothing()

    def test_every_compression_may_be_followed(self) -> None:
        plain = self.folder / 'plain'
        self.image.early = {'ext4'}
        plain.write_bytes(self.image.initramfs(compressed=False))
        for words in (('zstd', '-q', '-3'), ('lz4', '-q', '-l'), ('xz', '-k')):
            packed = self.folder / 'packed'
            with packed.open('wb') as sink:
                subprocess.run(
                    [*words, '-c', plain], stdout=sink, check=True, timeout=30
                )
            self.image.files['boot/initrd.img'] = packed.read_bytes()
            self.source.unlink(missing_ok=True)
            self.output.unlink(missing_ok=True)
            self.assertEqual(0, self.convert()[0], words)
            self.files().copy('/boot/initrd.img', packed)
            self.assertTrue(
                initramfs.contents(packed).has(made_up.RELEASE, 'ahci')
            )

    def test_names_of_interfaces(self) -> None:
        self.image.files['etc/network/interfaces'] = (
            b'auto ens3\niface ens3 inet dhcp\n'
        )
        self.assertEqual((3, {}), self.convert()[:2])
        self.output.unlink()
        status, changes, _ = self.convert('--mac', MAC.upper())
        self.assertEqual(0, status)
        self.assertEqual(['nic-name'], list(changes))
        self.assertEqual(
            f'[Match]\nMACAddress={MAC}\n\n[Link]\nName=ens3\n',
            self.text('/etc/systemd/network/10-zsbm-ens3.link'),
        )
        self.assert_again_nothing('--mac', MAC)

    def test_attributes_stay_and_are_inherited(self) -> None:
        path = self.image.write()
        part = f'{path}?offset={disk.MIB}'
        values = {}
        for name, label in (('old', 'etc_runtime_t'), ('etc', 'etc_t')):
            value = self.folder / name
            value.write_bytes(f'system_u:object_r:{label}:s0\0'.encode())
            values[name] = value
        large = self.folder / 'large'
        large.write_bytes(b'x' * 300)
        for target, value, name in (
            ('/etc', values['etc'], 'security.selinux'),
            ('/etc/fstab', values['old'], 'security.selinux'),
            ('/etc/os-release', large, 'user.large'),
        ):
            process.run(
                ['debugfs', '-w', '-R', f'ea_set -f {value} {target} {name}']
                + [part],
                timeout_s=30,
            )
        new = self.folder / 'new'
        new.write_text('new')
        files = ext.ExtTree(path, disk.MIB)
        files.write('/etc/fstab', new)
        files.write('/etc/some/where/file', new)
        self.assertRaises(
            exception.MountNeeded, files.write, '/etc/os-release', new
        )
        self.output = path
        self.assert_sound()
        for target, label in (
            ('/etc/fstab', 'etc_runtime_t'),
            ('/etc/some', 'etc_t'),
            ('/etc/some/where', 'etc_t'),
            ('/etc/some/where/file', 'etc_t'),
        ):
            said = process.run(
                ['debugfs', '-R', f'ea_list {target}', part], timeout_s=30
            ).stdout
            self.assertIn(f':{label}:s0', said, target)

    def test_links_end_inside(self) -> None:
        self.image.files['etc/network/interfaces'] = b'auto ens3\n'
        self.image.write()
        outside = self.folder / 'outside'
        outside.mkdir()
        process.run(
            ['debugfs', '-w', '-f', '-', f'{self.source}?offset={disk.MIB}'],
            timeout_s=30,
            stdin=f'symlink /etc/systemd /../../..{outside}\n',
        )
        status, _, wrong = self.convert('--mac', MAC)
        self.assertEqual(1, status)
        self.assertIn('10-zsbm-ens3.link cannot be changed', wrong)
        self.assertEqual([], list(outside.iterdir()))
        self.assertFalse(self.output.exists())


class LoaderTest(converting.ConvertCase):
    def setUp(self) -> None:
        super().setUp()
        self.image.drivers['nvme'] = 'pci:v*d*sv*sd*bc01sc08i02*'
        self.image.early.add('nvme')
        # Only grub-mkimage makes a real one.
        self.image.loader = False

    def test_an_mbr_becomes_a_gpt_with_an_esp(self) -> None:
        self.image.files['etc/fstab'] = (
            b'PARTUUID=5a5a5a5a-01 / ext4 defaults 0 1\n'
        )
        status, changes, _ = self.convert(hardware=('uefi-nvme',))
        self.assertEqual(0, status)
        self.assertEqual({'esp', 'gpt', 'mount'}, set(changes))
        self.assertEqual(
            f'UUID={made_up.UUID} / ext4 defaults 0 1\n',
            self.text('/etc/fstab'),
        )
        after = volumes.read(self.output)
        self.assertEqual('gpt', after.table)
        esp = after.esp()
        assert esp is not None
        self.assert_in_front(esp)
        files = esp.files()
        assert files is not None
        self.assertEqual('shimx64.efi', self._of(files, 'BOOTX64.EFI'))
        self.assertEqual('grubx64.efi', self._of(files, 'GRUBX64.EFI'))
        pointer = tree.text(files, '/EFI/debian/grub.cfg')
        self.assertIn(f'--set=root {made_up.UUID}\n', pointer)
        self.assertIn("prefix=($root)'/boot/grub'\n", pointer)
        self.assert_sound()
        self.assert_again_nothing(hardware=('uefi-nvme',))

    def assert_in_front(self, esp: volumes.Volume) -> None:
        """The root has nothing behind it: it may grow."""
        root = volumes.read(self.output).volumes[0]
        assert esp.start_bytes is not None
        assert root.start_bytes is not None
        room = partitions.ESP_MIB * disk.MIB
        self.assertLessEqual(esp.start_bytes + room, root.start_bytes)
        self.assertLess(root.start_bytes, room + 3 * disk.MIB)
        self.assertEqual('ext4', root.kind)

    def test_where_no_block_of_the_host_begins(self) -> None:
        self.image.start = 2047
        status, _, wrong = self.convert(hardware=('uefi-nvme',))
        self.assertEqual((0, ''), (status, _errors(wrong)))
        esp = volumes.read(self.output).esp()
        assert esp is not None
        self.assert_in_front(esp)
        self.assertEqual([], list(self.folder.glob('*longer*')))
        self.assert_sound()

    def test_a_gpt_with_a_place_for_bios(self) -> None:
        """GRUB knows where its core is: it stays there."""
        self.image.gpt = True
        self.assertEqual(0, self.convert(hardware=('uefi-nvme',))[0])
        after = volumes.read(self.output)
        esp, core = after.esp(), after.bios_boot()
        assert esp is not None
        assert core is not None
        self.assertEqual(34 * volumes.SECTOR, core.start_bytes)
        self.assert_in_front(esp)
        self.assert_sound()
        self.assert_again_nothing(hardware=('uefi-nvme',))

    def test_logical_partitions(self) -> None:
        self.image.logical = True
        self.assertEqual(0, self.convert(hardware=('uefi-nvme',))[0])
        after = volumes.read(self.output)
        self.assertEqual('gpt', after.table)
        ends = [one for one in after.volumes if one.kind == 'swap']
        self.assertEqual(1, len(ends))
        self.assert_sound()

    @staticmethod
    def _of(files: tree.Tree, name: str) -> str:
        for one in files.names('/EFI/BOOT'):
            if one.upper() == name:
                return tree.text(files, f'/EFI/BOOT/{one}')
        return ''

    def test_a_full_table_has_room_then(self) -> None:
        self.image.more_partitions = 3
        status, changes, wrong = self.convert(hardware=('uefi-nvme',))
        self.assertEqual((0, ''), (status, _errors(wrong)))
        self.assertIn('gpt', changes)
        self.assertEqual(5, len(volumes.read(self.output).volumes))

    def test_it_is_not_a_disk_with_partitions(self) -> None:
        self.image.table = False
        status, _, wrong = self.convert(hardware=('uefi-nvme',))
        self.assertEqual(1, status)
        self.assertIn('a file system instead of one', wrong)
        self.assertFalse(self.output.exists())


class FailureTest(converting.ConvertCase):
    def assert_left_alone(self) -> None:
        names = {path.name for path in self.folder.iterdir()}
        self.assertEqual({'cache', 'disk.raw'}, names)

    def test_no_room(self) -> None:
        self.image.early = {'ext4'}
        self.image.fill = True
        status, _, wrong = self.convert()
        self.assertEqual(1, status)
        self.assertRegex(wrong, r'disk\.raw: .* has \d+ KiB left')
        self.assertIn('Remove something in the image', wrong)
        self.assert_left_alone()

    def test_no_driver_at_all(self) -> None:
        del self.image.drivers['ahci']
        # One that there is no kernel for.
        self.image.files['etc/os-release'] = b'ID=kylin\nVERSION_ID=10\n'
        status, _, wrong = self.convert()
        self.assertEqual(1, status)
        self.assertIn('no driver for the disk', wrong)
        self.assert_left_alone()

    def test_not_a_system(self) -> None:
        self.source.write_bytes(bytes(1 << 20))
        status, _, wrong = self.convert()
        self.assertEqual(1, status)
        self.assertIn('no Linux was found', wrong)
        self.assert_left_alone()

    def test_a_file_system_that_was_not_unmounted(self) -> None:
        self.image.early = {'ext4'}
        path = self.image.write()
        process.run(
            ['debugfs', '-w', '-R', 'feature needs_recovery']
            + [f'{path}?offset={disk.MIB}'],
            timeout_s=30,
        )
        status, _, wrong = self.convert()
        self.assertEqual(1, status)
        self.assertIn('shut it down', wrong)

    def test_the_output_is_there(self) -> None:
        self.output.write_text('mine')
        status, _, wrong = self.convert()
        self.assertEqual(1, status)
        self.assertIn('--force', wrong)
        self.assertEqual('mine', self.output.read_text())
        self.assertEqual(0, self.convert('--force')[0])
        self.assertNotEqual(b'mine', self.output.read_bytes()[:4])


def _errors(text: str) -> str:
    """Return what is no progress."""
    return '\n'.join(
        line
        for line in text.splitlines()
        if not re.match(r'^\[ *[\d.]+ s\]', line)
    )
