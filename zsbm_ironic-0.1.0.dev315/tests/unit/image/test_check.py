# SPDX-License-Identifier: Apache-2.0
"""`zsbm-image check` on real file systems with a made-up OS in them."""

import contextlib
import io
import json
import pathlib
import sys

import fixtures
import testtools

from tests.unit.image import made_up
from zsbm_ironic.common import process
from zsbm_ironic.image import (
    cli,
    grub_tree,
    hardware,
    initramfs,
    menu,
    newc,
)
from zsbm_ironic.lab.images import disk


class MenuTest(testtools.TestCase):
    def test_paths_count_from_the_top_of_the_file_system(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        image = made_up.Image(folder)
        image.files = {
            '@rootfs/boot/vmlinuz': made_up.kernel(),
            '@rootfs/boot/grub/grub.cfg': (
                b"menuentry 'Debian' {\n"
                b'  linux /@rootfs/boot/vmlinuz root=/dev/sda1\n'
                b'  initrd /@rootfs/boot/initrd.img\n}\n'
            ),
        }
        top = grub_tree.GrubTree(image.write(), 'loop0,msdos1')
        subvolume = '/@rootfs'
        entry = menu.default(top.below(subvolume), subvolume)
        assert entry is not None
        self.assertEqual('/boot/vmlinuz', entry.kernel)
        self.assertEqual(('/boot/initrd.img',), entry.initramfs)


class CheckTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.image = made_up.Image(self.folder)

    def check(self, *words: str) -> tuple[int, dict[str, list[str]]]:
        """Return the exit status, and the keys found by hardware."""
        path = self.folder / 'disk.raw'
        if not path.exists():
            path = self.image.write()
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = cli.main(['check', str(path), '-f', 'json', *words])
        return status, {
            name: [one['key'] for one in found['findings']]
            for name, found in json.loads(said.getvalue())['verdicts'].items()
        }

    def assertFinds(
        self, status: int, *keys: str, on: str = 'bios-sata'
    ) -> None:
        self.assertEqual(
            (status, {on: list(keys)}), self.check('--hardware', on)
        )

    def test_fit(self) -> None:
        self.assertFinds(0)

    def test_other_firmware_and_disk(self) -> None:
        self.assertFinds(4, 'no-esp', 'no-disk-driver', on='uefi-nvme')

    def test_no_loader(self) -> None:
        self.image.loader = False
        self.assertFinds(4, 'no-bios-loader')

    def test_driver_not_early(self) -> None:
        self.image.early = {'ext4', 'sd_mod'}
        self.assertFinds(4, 'no-disk-driver-early')

    def test_what_a_driver_asks_for_is_not_early(self) -> None:
        self.image.ask('ext4', 'crypto-crc32c', 'crc32c_generic')
        self.assertFinds(4, 'no-disk-driver-early')

    def test_what_a_driver_asks_for_is_early(self) -> None:
        self.image.ask('ext4', 'crypto-crc32c', 'crc32c_generic')
        self.image.early.add('crc32c_generic')
        self.assertFinds(0)

    def test_no_driver_at_all(self) -> None:
        del self.image.drivers['ahci']
        self.assertFinds(4, 'no-disk-driver')

    def test_no_network_driver(self) -> None:
        del self.image.drivers['e1000e']
        self.assertFinds(3, 'no-nic-driver')

    def test_disk_by_bus(self) -> None:
        menu = self.image.files['boot/grub/grub.cfg']
        self.image.files['boot/grub/grub.cfg'] = menu.replace(
            f'UUID={made_up.UUID}'.encode(), b'/dev/vda1'
        )
        self.image.files['etc/fstab'] = (
            b'/dev/vda1 / ext4 defaults 0 1\n'
            b'/dev/vdb none swap sw 0 0\n'
            b'/dev/vdc /data ext4 nofail 0 0\n'
        )
        self.assertFinds(4, 'root-by-bus', 'mount-by-bus', 'mount-by-bus')

    def test_names_of_interfaces(self) -> None:
        self.image.files['etc/network/interfaces'] = (
            b'auto lo ens3\niface ens3 inet dhcp\n'
        )
        self.assertFinds(3, 'nic-names')

    def test_other_architecture(self) -> None:
        self.image.files['bin/sh'] = b'\x7fELF'.ljust(18, b'\0') + b'\xb7\0'
        self.assertFinds(5, 'architecture')

    def test_no_system(self) -> None:
        (self.folder / 'disk.raw').write_bytes(bytes(1 << 20))
        self.assertFinds(5, 'no-system')

    def test_kernel_is_not_there(self) -> None:
        del self.image.files['boot/vmlinuz']
        self.assertFinds(5, 'no-kernel-file')

    def test_links_stay_inside(self) -> None:
        path = self.image.write()
        process.run(
            ['debugfs', '-w', '-f', '-', f'{path}?offset={disk.MIB}'],
            timeout_s=30,
            stdin='rm /etc/fstab\nsymlink /etc/fstab /../../etc/../loop\n'
            'symlink /loop loop\n',
        )
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(1, cli.main(['check', str(path)]))
        self.assertIn('more than 40 symbolic links', said.getvalue())

    def test_broken_initramfs(self) -> None:
        good = self.image.initramfs()
        for bad in (good[:-20], b'MZ' + bytes(99), b'070701' + b'z' * 200):
            self.image = made_up.Image(self.folder)
            (self.folder / 'disk.raw').unlink(missing_ok=True)
            self.image.files['boot/initrd.img'] = bad
            path = self.image.write()
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                self.assertEqual(1, cli.main(['check', str(path)]))
            self.assertIn('initramfs', said.getvalue())

    def test_a_backing_file_is_refused(self) -> None:
        path = self.folder / 'evil.qcow2'
        process.run(
            ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw']
            + ['-u', '-b', '/etc/passwd', str(path), '1G'],
            timeout_s=30,
        )
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(1, cli.main(['check', str(path)]))
        self.assertIn('may not be opened', said.getvalue())

    def test_no_image(self) -> None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(1, cli.main(['check', '/no/such.qcow2']))
        self.assertIn('No such file', said.getvalue())

    def test_qcow2_is_read_as_raw_is(self) -> None:
        raw = self.image.write()
        packed = self.folder / 'disk.qcow2'
        process.run(
            ['qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2']
            + [str(raw), str(packed)],
            timeout_s=30,
        )
        done = process.run(
            [
                sys.executable,
                '-c',
                'from zsbm_ironic.image import cli; '
                'raise SystemExit(cli.main())',
                'check',
                str(packed),
            ]
            + ['--hardware', 'bios-sata'],
            timeout_s=60,
        )
        self.assertIn('bios-sata: FIT', done.stdout)


class InitramfsTest(testtools.TestCase):
    def test_parts_one_after_the_other(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        early = io.BytesIO()
        archive = newc.Writer(early)
        archive.add('kernel/x86/microcode/a.bin', 0o100644, b'x' * 37)
        archive.close()
        main = made_up.Image(folder).initramfs()
        path = folder / 'initramfs'
        path.write_bytes(early.getvalue() + bytes(900) + main + main)
        found = initramfs.contents(path)
        self.assertIn('kernel/x86/microcode/a.bin', found.names)
        self.assertTrue(found.has(made_up.RELEASE, 'ahci'))
        self.assertFalse(found.has(made_up.RELEASE, 'nvme'))


class HardwareTest(testtools.TestCase):
    def test_a_file_is_held_against_the_schema(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        path = folder / 'rack.toml'
        path.write_text(
            'architecture = "x86_64"\nfirmware = "efi"\n'
            'disk = ["scsi:t-0x00"]\n'
        )
        error = self.assertRaises(
            hardware.exception.HardwareInvalid, hardware.of, str(path)
        )
        self.assertIn("firmware: 'efi' is not one of", str(error))
        path.write_text(
            'architecture = "x86_64"\nfirmware = "uefi"\n'
            'disk = ["scsi:t-0x00"]\n'
        )
        self.assertEqual(
            hardware.Firmware.UEFI, hardware.of(str(path)).firmware
        )
