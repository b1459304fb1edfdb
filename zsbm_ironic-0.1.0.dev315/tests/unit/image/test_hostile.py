# SPDX-License-Identifier: Apache-2.0
"""Broken and malicious images: told by name, in time, and nothing happens.

None of them is taken for fit, no conversion of one leaves a file, and what
lies beside them stays as it was.
"""

import contextlib
import hashlib
import io
import os
import pathlib
import struct
import time

import fixtures
import testtools

from tests.unit.image import made_up
from zsbm_ironic.common import process
from zsbm_ironic.image import cli
from zsbm_ironic.lab.images import disk

# Far above what any takes, below any limit of a reader.
LIMIT_S = 60
_EXT_SUPERBLOCK = 1024


def _requests(path: pathlib.Path, *requests: str) -> None:
    """Have debugfs change the file system on partition 1."""
    for request in requests:
        process.run(
            ['debugfs', '-w', '-R', request, f'{path}?offset={disk.MIB}'],
            timeout_s=30,
        )


def _overwrite(path: pathlib.Path, place: int, data: bytes) -> None:
    with path.open('r+b') as sink:
        sink.seek(place)
        sink.write(data)


def _noise(length: int) -> bytes:
    """Return what looks random, and is the same in each run."""
    return hashlib.shake_256(b'zsbm').digest(length)


class HostileTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.inside = self.folder / 'inside'
        self.inside.mkdir()
        self.image = made_up.Image(self.inside)
        self.secret = self.folder / 'secret'
        self.secret.write_text('of the host')

    def run_cli(self, *words: str) -> tuple[int, str]:
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            status = cli.main(list(words))
        return status, said.getvalue()

    def assert_told(
        self, path: pathlib.Path, statuses: set[int], *words: str
    ) -> None:
        """It is not fit, is told so, and has no way out."""
        before = sorted(self.folder.rglob('*'))
        began = time.monotonic()
        status, said = self.run_cli(
            'check', str(path), '--hardware', 'bios-sata'
        )
        self.assertIn(status, statuses, said)
        for word in words:
            self.assertIn(word, said)
        output = self.folder / 'output'
        status, said = self.run_cli(
            *('convert', str(path), str(output), '-O', 'raw'),
            *('--hardware', 'bios-sata'),
            *('--cache', str(self.folder / 'cache')),
        )
        self.assertEqual(1, status, said)
        self.assertLess(time.monotonic() - began, LIMIT_S)
        self.assertEqual('of the host', self.secret.read_text())
        after = sorted(
            one
            for one in self.folder.rglob('*')
            if not one.is_relative_to(self.folder / 'cache')
        )
        self.assertEqual(before, after)

    def qcow2(self, *words: str) -> pathlib.Path:
        path = self.inside / 'disk.qcow2'
        process.run(
            ['qemu-img', 'create', '-q', '-f', 'qcow2', *words[:-1], path]
            + [words[-1]],
            timeout_s=30,
        )
        return path

    def test_a_backing_file(self) -> None:
        path = self.qcow2('-u', '-F', 'raw', '-b', str(self.secret), '1M')
        self.assert_told(path, {1}, 'backing')

    def test_data_in_another_file(self) -> None:
        data = self.inside / 'data'
        path = self.qcow2('-o', f'data_file={data},data_file_raw=on', '1M')
        self.assert_told(path, {1}, 'data')

    def test_a_disk_that_nobody_has(self) -> None:
        self.assert_told(self.qcow2('20T'), {1}, 'no disk')

    def test_a_file_that_breaks_off(self) -> None:
        path = self.inside / 'disk.qcow2'
        process.run(
            ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2']
            + [self.image.write(), path],
            timeout_s=60,
        )
        os.truncate(path, path.stat().st_size // 2)
        self.assert_told(path, {1, 5})

    def test_extents_that_name_a_file_of_the_host(self) -> None:
        path = self.inside / 'disk.vmdk'
        path.write_text(
            '# Disk DescriptorFile\nversion=1\nCID=fffffffe\n'
            'parentCID=ffffffff\ncreateType="monolithicFlat"\n'
            f'RW 2048 FLAT "{self.secret}" 0\n'
        )
        self.assert_told(path, {1})

    def test_nothing_at_all(self) -> None:
        path = self.inside / 'disk.raw'
        path.write_bytes(bytes(disk.MIB))
        self.assert_told(path, {1, 5}, 'disk.raw')

    def test_noise(self) -> None:
        path = self.inside / 'disk.raw'
        path.write_bytes(_noise(disk.MIB))
        self.assert_told(path, {1, 5}, 'disk.raw')

    def test_a_partition_behind_the_end(self) -> None:
        path = self.image.write()
        _overwrite(path, 0x1BE + 8, struct.pack('<II', 1 << 30, 1 << 20))
        self.assert_told(path, {1, 5})

    def test_a_table_that_leads_to_itself(self) -> None:
        path = self.image.write()
        entry = struct.pack('<B3sB3sII', 0, b'', 5, b'', 1, 40960)
        _overwrite(path, 0x1CE, entry)
        table = bytes(0x1BE) + bytes(16) + entry + bytes(32) + b'\x55\xaa'
        _overwrite(path, 512, table)
        status, _ = self.run_cli('check', str(path))
        self.assertNotEqual(0, status)

    def test_no_superblock(self) -> None:
        path = self.image.write()
        _overwrite(path, disk.MIB + _EXT_SUPERBLOCK, bytes(1024))
        self.assert_told(path, {1, 5})

    def test_a_superblock_of_noise(self) -> None:
        path = self.image.write()
        noise = _noise(56)
        _overwrite(path, disk.MIB + _EXT_SUPERBLOCK, noise)
        self.assert_told(path, {1, 5})

    def test_inodes_of_noise(self) -> None:
        path = self.image.write()
        noise = _noise(2 * disk.MIB)
        _overwrite(path, disk.MIB + 64 * 1024, noise)
        self.assert_told(path, {1, 5})

    def test_no_kernel_in_the_file_of_one(self) -> None:
        self.image.files['boot/vmlinuz'] = b''
        self.assert_told(self.image.write(), {4, 5})

    def test_no_initramfs(self) -> None:
        path = self.image.write()
        _requests(path, 'rm /boot/initrd.img')
        self.assert_told(path, {4, 5})

    def test_a_driver_whose_file_is_gone(self) -> None:
        self.image.early = {'ext4'}
        path = self.image.write()
        _requests(path, f'rm /lib/modules/{made_up.RELEASE}/kernel/ahci.ko')
        self.assert_told(path, {4, 5}, 'ahci')

    def test_a_driver_that_depends_on_none(self) -> None:
        self.image.files[f'lib/modules/{made_up.RELEASE}/modules.dep'] = (
            b'kernel/ahci.ko: kernel/gone.ko\n'
            b'kernel/sd_mod.ko: kernel/sd_mod.ko\n'
            b'kernel/ext4.ko:\n'
        )
        self.assert_told(self.image.write(), {4, 5}, 'ahci')

    def test_links_in_a_circle(self) -> None:
        path = self.image.write()
        _requests(
            path,
            'rm /boot/grub/grub.cfg',
            'symlink /boot/grub/grub.cfg grub.cfg',
        )
        self.assert_told(path, {1, 5}, 'grub.cfg')

    def test_a_link_out_of_the_image(self) -> None:
        path = self.image.write()
        up = '/'.join(['..'] * 20)
        _requests(
            path,
            'rm /boot/grub/grub.cfg',
            f'symlink /boot/grub/grub.cfg {up}{self.secret}',
        )
        self.assert_told(path, {5})

    def test_a_text_of_a_gigabyte(self) -> None:
        path = self.image.write()
        _requests(path, f'sif /etc/fstab size {1 << 30}')
        self.assert_told(path, {1}, '/etc/fstab')

    def test_a_name_that_ends_a_request(self) -> None:
        """It is passed over: what follows its line break is not run."""
        self.image.files['etc/network/interfaces.d/a"\ncd etc\nrm fstab'] = b''
        path = self.image.write()
        before = path.read_bytes()
        self.run_cli('check', str(path), '--hardware', 'bios-sata')
        self.assertEqual(before, path.read_bytes())
        output = self.folder / 'output'
        status, said = self.run_cli(
            *('convert', str(path), str(output), '-O', 'raw'),
            *('--hardware', 'bios-sata'),
            *('--cache', str(self.folder / 'cache')),
        )
        self.assertEqual(0, status, said)
        found = process.run(
            [
                'debugfs',
                '-R',
                'stat /etc/fstab',
                f'{output}?offset={disk.MIB}',
            ],
            timeout_s=30,
        )
        self.assertIn('Type: regular', found.stdout)

    def test_encrypted(self) -> None:
        path = self.image.write()
        _overwrite(path, disk.MIB, b'LUKS\xba\xbe\x00\x01' + bytes(2048))
        self.assert_told(path, {5}, 'LUKS')
