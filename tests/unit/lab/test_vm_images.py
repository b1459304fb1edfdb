# SPDX-License-Identifier: Apache-2.0
"""VM images: the table agrees with itself, and texts agree with the disk."""

import collections
import pathlib
import shutil
import subprocess

import fixtures
from oslotest import base

from zsbm_ironic.lab.vm_images import (
    __main__,
    bootloader,
    build,
    configure,
    disks,
    menu,
    plan,
    proof,
    roots,
    specimens,
)

IDENTITY = plan.Identity('test')


class TestTable(base.BaseTestCase):
    def test_names_are_unique_and_found(self):
        names = [specimen.name for specimen in specimens.SPECIMENS]
        self.assertEqual(sorted(set(names)), sorted(names))
        for specimen in specimens.SPECIMENS:
            self.assertIs(specimen, specimens.by_name(specimen.name))

    def test_one_is_not_of_the_table(self):
        one = specimens.CLOUD_INIT
        self.assertIs(one, specimens.by_name(one.name))
        self.assertNotIn(one, specimens.SPECIMENS)

    def test_every_choice_is_in_it(self):
        rows = specimens.SPECIMENS
        for choices, seen in (
            (specimens.Table, {row.table for row in rows}),
            (specimens.Boot, {row.boot for row in rows}),
            (specimens.Network, {row.network for row in rows}),
            (specimens.Layout, {row.layout for row in rows}),
            (specimens.Filesystem, {row.filesystem for row in rows}),
            (specimens.Menu, {row.menu for row in rows}),
            (specimens.RootBy, {row.root_by for row in rows}),
            (specimens.Init, {row.system.init for row in rows}),
            (specimens.Scope, {row.system.scope for row in rows}),
            (specimens.Initramfs, {row.system.initramfs for row in rows}),
        ):
            self.assertEqual(set(choices), seen)

    def test_rows_can_be_built(self):
        for row in specimens.SPECIMENS:
            if row.table is specimens.Table.MBR:
                self.assertIs(specimens.Boot.BIOS, row.boot, row.name)
            if row.layout is specimens.Layout.FOUR:
                self.assertIs(specimens.Table.MBR, row.table, row.name)
            if row.layout is specimens.Layout.LVM:
                self.assertIn('lvm2', row.system.extra, row.name)
            if row.filesystem is specimens.Filesystem.XFS:
                self.assertIn('xfsprogs', row.system.extra, row.name)
            if row.filesystem is specimens.Filesystem.BTRFS:
                self.assertIn('btrfs-progs', row.system.extra, row.name)

    def test_images_of_the_same_packages_share_a_root(self):
        keys = collections.Counter(
            roots.key(row.system) for row in specimens.SPECIMENS
        )
        systems = {row.system for row in specimens.SPECIMENS}
        self.assertEqual(len(systems), len(keys))
        self.assertLess(len(keys), len(specimens.SPECIMENS))

    def test_every_image_has_a_digest_of_its_own(self):
        keys = {build.key(row) for row in specimens.SPECIMENS}
        self.assertEqual(len(specimens.SPECIMENS), len(keys))

    def test_the_list_has_a_line_for_each(self):
        for row in specimens.SPECIMENS:
            self.assertIn(row.boot.value, __main__.describe(row))


class TestPlan(base.BaseTestCase):
    def test_partitions_follow_each_other_and_fit(self):
        for row in specimens.SPECIMENS:
            parts = plan.partitions(row)
            place_mib = 1
            for part in parts:
                self.assertEqual(place_mib, part.start_mib, row.name)
                self.assertGreater(part.size_mib, 0)
                place_mib += part.size_mib
            self.assertEqual(specimens.VIRTUAL_MIB - 1, place_mib)
            numbers = {part.number for part in parts}
            self.assertEqual(len(parts), len(numbers))

    def test_firmware_finds_what_it_starts(self):
        for row in specimens.SPECIMENS:
            esp = plan.find(row, plan.Use.ESP) is not None
            self.assertEqual(row.boot is not specimens.Boot.BIOS, esp)
            gap = plan.find(row, plan.Use.BIOS_BOOT) is not None
            gpt_bios = (
                row.table is specimens.Table.GPT
                and row.boot is not specimens.Boot.UEFI
            )
            self.assertEqual(gpt_bios, gap, row.name)

    def test_four_primaries_leave_no_entry_free(self):
        row = specimens.by_name('debian12-four-primaries')
        self.assertEqual(
            [1, 2, 3, 4], [part.number for part in plan.partitions(row)]
        )

    def test_a_hybrid_disk_is_numbered_as_debians_cloud_images(self):
        row = specimens.by_name('debian12-cloud')
        self.assertEqual(
            {14: 'bios_boot', 15: 'esp', 1: 'root'},
            {part.number: part.use.value for part in plan.partitions(row)},
        )

    def test_sfdisk_takes_each_table(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for row in specimens.SPECIMENS:
            image = folder / row.name
            with image.open('wb') as sink:
                sink.truncate(specimens.VIRTUAL_MIB * specimens.MIB)
            subprocess.run(
                ['/usr/sbin/sfdisk', '--quiet', '--no-reread', str(image)],
                input=disks.table(row, IDENTITY),
                text=True,
                check=True,
                capture_output=True,
            )


class TestTexts(base.BaseTestCase):
    def test_device_names_are_of_the_partition(self):
        row = specimens.by_name('debian12-four-primaries')
        table = configure.fstab(row, IDENTITY)
        self.assertEqual(
            [
                ('/dev/vda2', '/'),
                ('/dev/vda1', '/boot'),
                ('/dev/vda3', 'none'),
                ('/dev/vda4', '/srv'),
            ],
            [tuple(line.split()[:2]) for line in table.splitlines()],
        )
        self.assertTrue(
            menu.kernel_arguments(row, IDENTITY).startswith(
                'root=/dev/vda2 ro '
            )
        )

    def test_fstab_and_kernel_name_the_same_root(self):
        for row in specimens.SPECIMENS:
            (first, *_) = configure.fstab(row, IDENTITY).split()
            words = menu.kernel_arguments(row, IDENTITY).split()
            self.assertIn(f'root={first}', words)

    def test_the_console_is_serial_alone(self):
        for row in specimens.SPECIMENS:
            words = menu.kernel_arguments(row, IDENTITY).split()
            consoles = [word for word in words if word.startswith('console=')]
            self.assertEqual([f'console={row.console},115200'], consoles)

    def test_btrfs_is_read_from_its_subvolume(self):
        row = specimens.by_name('debian12-btrfs')
        self.assertIn(
            'rootflags=subvol=@rootfs', menu.kernel_arguments(row, IDENTITY)
        )
        self.assertIn(
            ' /@rootfs/boot/vmlinuz-6', menu.grub_cfg(row, IDENTITY, '6')
        )

    def test_bls_entries_and_menu_share_kernelopts(self):
        row = specimens.by_name('debian13-dracut-bls')
        block = menu.grubenv(row, IDENTITY, '6')
        self.assertEqual(1024, len(block))
        self.assertIn(
            f'kernelopts={menu.kernel_arguments(row, IDENTITY)}\n'.encode(),
            block,
        )
        self.assertIn('options $kernelopts\n', menu.bls_entry(row, '6'))
        self.assertIn(
            'linux /vmlinuz-6 ${kernelopts}\n',
            menu.grub_cfg(row, IDENTITY, '6'),
        )

    def test_each_network_is_bound_to_a_vms_name(self):
        for row in specimens.SPECIMENS:
            text = ''.join(configure.network(row).values())
            self.assertIn(row.interface, text)

    def test_only_vms_drivers_are_asked_for(self):
        for row in specimens.SPECIMENS:
            text = ''.join(roots.settings(row.system).values())
            virtio = row.system.scope is specimens.Scope.VIRTIO
            self.assertEqual(virtio, 'virtio_blk' in text)
            self.assertNotIn('ahci', text)


class TestFolders(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def test_the_kernel_is_the_one_in_boot(self):
        (self.root / 'boot').mkdir()
        (self.root / 'boot' / 'vmlinuz-6.1.0-1-amd64').touch()
        self.assertEqual('6.1.0-1-amd64', bootloader.kernel_version(self.root))

    def test_qemu_starts_uefi_only_images_from_their_own_shim(self):
        row = specimens.by_name('debian12-uefi-only')
        disk = self.root / 'disk.qcow2'
        raw = self.root / 'raw'
        with raw.open('wb') as sink:
            sink.truncate(specimens.VIRTUAL_MIB * specimens.MIB)
        esp = plan.find(row, plan.Use.ESP)
        where = f'{raw}@@{esp.start_mib * specimens.MIB}'
        grub = self.root / 'grub'
        grub.write_bytes(b'GRUB')
        for argv in (
            ['mformat', '-i', where, '-T', '65536', '::'],
            ['mmd', '-i', where, '::EFI', '::EFI/debian'],
            ['mcopy', '-i', where, grub, '::EFI/debian/grubx64.efi'],
            ['qemu-img', 'convert', '-O', 'qcow2', raw, disk],
        ):
            subprocess.run(argv, check=True, capture_output=True)
        image = build.VmImage(row, disk, '', 0, 0, '6')
        work = self.root / 'work'
        work.mkdir()
        if not shutil.which('qemu-system-x86_64'):
            self.skipTest('no QEMU')
        argv = proof.command(image, specimens.Boot.UEFI, work)
        self.assertIn('virtio-blk-pci,drive=entry,bootindex=1', argv)
        self.assertEqual(
            b'GRUB', (work / 'entry/EFI/BOOT/BOOTX64.EFI').read_bytes()
        )

    def test_data_files_are_packaged(self):
        names = {path.name for path in configure.DATA.iterdir()}
        self.assertEqual({'ready', 'zsbm-vm-ready.service'}, names)
