# SPDX-License-Identifier: Apache-2.0
"""A kernel for hardware beside the one for VMs."""

import importlib.resources
import json

from tests.unit.image import converting, made_up
from zsbm_ironic.common import process
from zsbm_ironic.image import hardware_kernel, kits, system, volumes


class KernelTest(converting.ConvertCase):
    NEW = '6.1.0-10-amd64'

    def setUp(self) -> None:
        super().setUp()
        self.image.drivers = {'virtio_blk': 'virtio:d00000002v*'}
        self.image.early = {'ext4', 'virtio_blk'}
        self.image.files['etc/systemd/system/.keep'] = b''
        self.make_kit()

    def make_kit(self) -> None:
        """A kernel with the drivers that the image's own has not."""
        root = self.cache / kits.KIND / kits.key('debian 12', 'x86_64')
        drivers = made_up.MODULES | self.image.drivers
        drivers |= {'crc32c_generic': 'crypto-crc32c'}
        folders = {
            'crc32c_generic': 'crypto',
            'e1000e': 'drivers/net',
            'ext4': 'fs/ext4',
        }
        paths = {
            name: f'kernel/{folders.get(name, "drivers/ata")}/{name}.ko'
            for name in (*drivers, 'ext4')
        }
        files = {
            'vmlinuz': made_up.kernel(self.NEW),
            'packages/linux-image.deb': b'deb',
            kits.FACTS: json.dumps({'release': self.NEW}).encode(),
            'modules/modules.alias': ''.join(
                f'alias {pattern} {name}\n'
                for name, pattern in drivers.items()
            ).encode(),
            'modules/modules.dep': ''.join(
                f'{path}:\n' for path in paths.values()
            ).encode(),
            'modules/modules.builtin': b'',
            'modules/modules.builtin.modinfo': b'',
            'modules/modules.softdep': b'softdep ext4 pre: crypto-crc32c\n',
        } | {f'modules/{path}': b'code' for path in paths.values()}
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def test_a_kernel_beside_the_one_of_a_vm(self) -> None:
        status, changes, _ = self.convert()
        self.assertEqual(0, status)
        self.assertEqual({'kernel', 'kernel-package'}, set(changes))
        found = system.find(volumes.read(self.output))
        assert found is not None
        assert found.boots is not None
        self.assertEqual(f'/boot/vmlinuz-{self.NEW}', found.boots.kernel)
        self.assertEqual(
            (f'/boot/initrd.img-{self.NEW}',), found.boots.initramfs
        )
        assert found.initramfs is not None
        for name in ('ahci', 'ext4', 'crc32c_generic'):
            self.assertTrue(found.initramfs.has(self.NEW, name), name)
        self.assertFalse(found.initramfs.has(self.NEW, 'e1000e'))
        menu = self.text('/boot/grub/grub.cfg')
        self.assertEqual(2, menu.count('menuentry'))
        self.assertIn('linux /boot/vmlinuz root=', menu)
        self.assertEqual(
            'deb', self.text(f'{hardware_kernel.WAITING}/linux-image.deb')
        )
        for path in (hardware_kernel.SCRIPT, hardware_kernel.UNIT):
            self.assertIn('/var/lib/zsbm/kernel', self.text(path))
        self.assert_sound()
        self.assert_again_nothing()

    def test_no_menu_to_put_it_into(self) -> None:
        self.image.files['boot/grub/grub.cfg'] = b'# empty\n'
        self.image.files['boot/loader/entries/a.conf'] = (
            b'linux /boot/vmlinuz\ninitrd /boot/initrd.img\n'
            + f'options root=UUID={made_up.UUID}\n'.encode()
        )
        status, _, wrong = self.convert()
        self.assertEqual(1, status)
        self.assertIn('the boot menu cannot be changed', wrong)
        self.assertFalse(self.output.exists())

    def test_the_script_is_sound(self) -> None:
        process.run(
            ['shellcheck', '-'],
            timeout_s=60,
            stdin=importlib.resources.files('zsbm_ironic.image')
            .joinpath('data/install-kernel')
            .read_text(),
        )
