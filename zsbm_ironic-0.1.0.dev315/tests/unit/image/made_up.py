# SPDX-License-Identifier: Apache-2.0
"""A made-up OS on a real disk: what an image is read by, and nothing else."""

import gzip
import io
import pathlib
import shutil
import struct

from zsbm_ironic.common import process
from zsbm_ironic.image import bios_grub, newc, part_files, volumes
from zsbm_ironic.lab.images import disk

RELEASE = '6.1.0-9-amd64'
UUID = '6f5ad4a2-3f0f-4f60-9a52-3ad1c3c8f6a1'
MODULES = {
    'ahci': 'pci:v*d*sv*sd*bc01sc06i01*',
    'sd_mod': 'scsi:t-0x00*',
    'e1000e': 'pci:v00008086d000010D3sv*sd*bc*sc*i*',
}
# In the extended partition.
_SWAP_START = 45056


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
        self.table = True
        self.start = 2048
        # With a place for the core of GRUB.
        self.gpt = False
        # Swap in an extended partition.
        self.logical = False
        self.more_partitions = 0
        self.fill = False

    def ask(self, module: str, name: str, answer: str) -> None:
        """Let a module ask for a name, that another one answers to."""
        self.drivers[answer] = name
        self.files[f'lib/modules/{RELEASE}/modules.softdep'] = (
            f'# of the modules\nsoftdep {module} pre: {name}\n'.encode()
        )

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
        files = {
            f'{modules}/{name}': text.encode() for name, text in tables.items()
        } | self.files
        files |= {f'{modules}/kernel/{name}.ko': b'code' for name in names}
        files.setdefault('boot/initrd.img', self.initramfs())
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        image = self.folder / 'disk.raw'
        part = self.folder / 'part'
        process.run(
            ['mke2fs', '-q', '-F', '-t', 'ext4', '-U', UUID]
            + ['-d', root, part, '20M'],
            timeout_s=30,
        )
        shutil.rmtree(root)
        if self.fill:
            _fill(part)
        if not self.table:
            return part.rename(image)
        with image.open('wb') as sink:
            sink.truncate((24 + self.more_partitions) * disk.MIB)
        start = self.start
        lines = ['label: dos', 'label-id: 0x5a5a5a5a']
        if self.gpt:
            lines = ['label: gpt', 'first-lba: 34']
        lines += [f'start={start}, size=40960, type=L']
        if self.gpt:
            lines += [f'start=34, size=2000, type={volumes.BIOS_BOOT}']
        if self.logical:
            lines += [
                'size=4096, type=5',
                f'start={_SWAP_START}, size=2000, type=82',
            ]
        lines += ['size=2048, type=83'] * self.more_partitions
        process.run(
            ['sfdisk', '-q', image], timeout_s=30, stdin='\n'.join(lines)
        )
        part_files.copy_sparse(part, image, start * volumes.SECTOR)
        part.unlink()
        if self.logical:
            part.write_bytes(b'\0' * 2000 * volumes.SECTOR)
            process.run(['mkswap', part], timeout_s=30)
            place = _SWAP_START * volumes.SECTOR
            part_files.copy_sparse(part, image, place)
            part.unlink()
        if self.loader:
            boot = b'\x90' * 0x180 + b'GRUB'.ljust(0x80, b'\0')
            bios_grub.embed(image, boot, b'core' * 200, 1)
        return image

    def initramfs(self, *, compressed: bool = True) -> bytes:
        sink = io.BytesIO()
        archive = newc.Writer(sink)
        for name in sorted(self.early):
            place = f'usr/lib/modules/{RELEASE}/kernel/{name}.ko'
            archive.add(place, 0o100644, b'code')
        archive.close()
        plain = sink.getvalue()
        return gzip.compress(plain, mtime=0) if compressed else plain


def _fill(part: pathlib.Path) -> None:
    """Leave no room in a file system."""
    block = part.with_name('block')
    block.write_bytes(b'x' * disk.MIB)
    requests = [f'write {block} filler{number}' for number in range(20)]
    process.run(
        ['debugfs', '-w', '-f', '-', part],
        timeout_s=60,
        stdin='\n'.join(requests) + '\n',
    )
    block.unlink()
