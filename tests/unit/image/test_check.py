# SPDX-License-Identifier: Apache-2.0
"""`zsbm-image check` on real file systems with a made-up OS in them."""

import contextlib
import gzip
import io
import json
import pathlib
import shutil
import struct
import sys

import fixtures
import testtools

from zsbm_ironic.common import process
from zsbm_ironic.image import cli, grub_tree, hardware, initramfs, menu
from zsbm_ironic.lab.images import disk, newc

RELEASE = '6.1.0-9-amd64'
UUID = '6f5ad4a2-3f0f-4f60-9a52-3ad1c3c8f6a1'
MODULES = {
    'ahci': 'pci:v*d*sv*sd*bc01sc06i01*',
    'sd_mod': 'scsi:t-0x00*',
    'e1000e': 'pci:v00008086d000010D3sv*sd*bc*sc*i*',
}


def kernel(release: str = RELEASE) -> bytes:
    """Return what an x86 kernel says of itself, and no code."""
    head = bytearray(0x400)
    head[0x202:0x206] = b'HdrS'
    struct.pack_into('<H', head, 0x20E, 0x100)
    return bytes(head[:0x300]) + f'{release} (who)\0'.encode()


class Image:
    """A disk with an OS: good on BIOS with SATA unless told otherwise."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {
            'etc/os-release': b'ID=debian\nVERSION_ID="12"\n',
            'etc/fstab': f'UUID={UUID} / ext4 defaults 0 1\n'.encode(),
            'bin/sh': b'\x7fELF'.ljust(18, b'\0') + struct.pack('<H', 0x3E),
            'boot/vmlinuz': kernel(),
            'boot/grub/grub.cfg': (
                "menuentry 'Debian' {\n"
                f'  linux /boot/vmlinuz root=UUID={UUID} ro\n'
                '  initrd /boot/initrd.img\n}\n'
            ).encode(),
        }
        self.drivers = dict(MODULES)
        self.early = {'ahci', 'sd_mod', 'ext4'}
        self.loader = True

    def write(self) -> pathlib.Path:
        root = self.folder / 'root'
        modules = f'lib/modules/{RELEASE}'
        names = sorted({*self.drivers, 'ext4'})
        tables = {
            'modules.alias': ''.join(
                f'alias {pattern} {name}\n'
                for name, pattern in self.drivers.items()
            ),
            'modules.dep': ''.join(f'kernel/{name}.ko:\n' for name in names),
            'modules.builtin': '',
        }
        files = self.files | {
            f'{modules}/{name}': text.encode() for name, text in tables.items()
        }
        files.setdefault('boot/initrd.img', self.initramfs())
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        image = self.folder / 'disk.raw'
        with image.open('wb') as sink:
            sink.truncate(24 * disk.MIB)
        process.run(
            ['sfdisk', '-q', image],
            timeout_s=30,
            stdin='label: dos\nstart=2048, type=83\n',
        )
        part = self.folder / 'part'
        process.run(
            ['mke2fs', '-q', '-F', '-t', 'ext4', '-U', UUID]
            + ['-d', root, part, '20M'],
            timeout_s=30,
        )
        disk.copy_sparse(part, image, disk.MIB)
        if self.loader:
            boot = b'\x90' * 0x180 + b'GRUB'.ljust(0x80, b'\0')
            disk.embed(image, boot, b'core' * 200, 1)
        shutil.rmtree(root)
        return image

    def initramfs(self) -> bytes:
        sink = io.BytesIO()
        archive = newc.Writer(sink)
        for name in sorted(self.early):
            place = f'usr/lib/modules/{RELEASE}/kernel/{name}.ko'
            archive.add(place, 0o100644, b'code')
        archive.close()
        return gzip.compress(sink.getvalue())


class MenuTest(testtools.TestCase):
    def test_paths_count_from_the_top_of_the_file_system(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        image = Image(folder)
        image.files = {
            '@rootfs/boot/vmlinuz': kernel(),
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
        self.image = Image(self.folder)

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

    def assertFinds(  # noqa: N802
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

    def test_no_driver_at_all(self) -> None:
        del self.image.drivers['ahci']
        self.assertFinds(4, 'no-disk-driver')

    def test_no_network_driver(self) -> None:
        del self.image.drivers['e1000e']
        self.assertFinds(3, 'no-nic-driver')

    def test_disk_by_bus(self) -> None:
        menu = self.image.files['boot/grub/grub.cfg']
        self.image.files['boot/grub/grub.cfg'] = menu.replace(
            f'UUID={UUID}'.encode(), b'/dev/vda1'
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
            self.image = Image(self.folder)
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
        main = Image(folder).initramfs()
        path = folder / 'initramfs'
        path.write_bytes(early.getvalue() + bytes(900) + main + main)
        found = initramfs.contents(path)
        self.assertIn('kernel/x86/microcode/a.bin', found.names)
        self.assertTrue(found.has(RELEASE, 'ahci'))
        self.assertFalse(found.has(RELEASE, 'nvme'))


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
