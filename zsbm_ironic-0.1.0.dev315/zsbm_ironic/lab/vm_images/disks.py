# SPDX-License-Identifier: Apache-2.0
"""The disk of a VM image: partitions, file systems, GRUB's sectors.

Called by `build`. Plain files wherever a tool can write them; a loop device
for Btrfs, XFS and the labels of LVM, whose tools want a device. LVM's volume
is never active: it is one run of extents, so its place in the partition is
known and the file system is copied there.
"""

import pathlib
import uuid

from zsbm_ironic.common import apt, process
from zsbm_ironic.image import bios_grub, part_files
from zsbm_ironic.lab.images import disk
from zsbm_ironic.lab.vm_images import bootloader, fill, plan, roots, specimens

# UEFI 2.10, table 5-6, and the Discoverable Partitions Specification.
_LINUX = '0FC63DAF-8483-4772-8E79-3D69D8477DE4'
_GPT_TYPES = {
    plan.Use.BIOS_BOOT: '21686148-6449-6E6F-744E-656564454649',
    plan.Use.ESP: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
    plan.Use.LVM: 'E6D6D379-F507-44C2-A23C-238F2A3DF928',
    plan.Use.SWAP: '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F',
}
_MBR_TYPES = {plan.Use.LVM: '8e', plan.Use.SWAP: '82'}
_MBR_GAP_SECTOR = 1
_LVM_SETTINGS = (
    'global{activation=0 use_lvmpolld=0} devices{use_devicesfile=0} '
    'backup{backup=0 archive=0}'
)
# Less than the partition: LVM's labels come first, extents are 4 MiB.
_LVM_OVERHEAD_MIB = 8


def check_tools(specimen: specimens.Specimen) -> None:
    """Make sure that every program is there before minutes are spent.

    :raises ToolMissing: names the Debian package.
    """
    disk.check_tools(roots.WHAT)
    needed = {
        'xfs': specimen.filesystem is specimens.Filesystem.XFS,
        'btrfs': specimen.filesystem is specimens.Filesystem.BTRFS,
        'lvm': specimen.layout is specimens.Layout.LVM,
    }
    for what, tool, package in (
        ('xfs', 'mkfs.xfs', 'xfsprogs'),
        ('btrfs', 'mkfs.btrfs', 'btrfs-progs'),
        ('lvm', 'lvm', 'lvm2'),
    ):
        if needed[what]:
            apt.require(tool, package, roots.WHAT)


def write(
    image: pathlib.Path,
    root: pathlib.Path,
    specimen: specimens.Specimen,
    identity: plan.Identity,
    loader: bootloader.Loader,
    work: pathlib.Path,
) -> None:
    """Write a raw disk image.

    :param root: becomes the root; what has a partition of its own is moved
        out of it.
    :param work: folder for parts.
    """
    with image.open('wb') as sink:
        sink.truncate(specimens.VIRTUAL_MIB * specimens.MIB)
    process.run(
        ['sfdisk', '--quiet', '--no-reread', image],
        timeout_s=60,
        stdin=table(specimen, identity),
    )
    parts = plan.partitions(specimen)
    core_sector = _MBR_GAP_SECTOR
    folders = {plan.Use.ROOT: root, plan.Use.LVM: root}
    for use in (plan.Use.BOOT, plan.Use.SRV):
        if plan.find(specimen, use):
            folders[use] = _moved_out(root / use.value, work / use.value)
    for part in parts:
        if part.use is plan.Use.BIOS_BOOT:
            core_sector = part.start_mib * plan.SECTORS_PER_MIB
            continue
        content = work / 'part.img'
        maker = _Maker(specimen, identity, part, work)
        if part.use is plan.Use.ESP:
            part_files.make_esp(
                loader.esp, content, part.size_mib, identity.esp_serial
            )
        else:
            maker.make(content, folders.get(part.use))
        part_files.copy_sparse(content, image, part.start_mib * specimens.MIB)
        content.unlink()
    if loader.core:
        bios_grub.embed(image, loader.boot, loader.core, core_sector)


def table(specimen: specimens.Specimen, identity: plan.Identity) -> str:
    """Return the partition table as sfdisk reads it."""
    gpt = specimen.table is specimens.Table.GPT
    label = str(identity.disk) if gpt else f'0x{identity.disk.int >> 96:08x}'
    lines = [
        f'label: {"gpt" if gpt else "dos"}',
        f'label-id: {label}',
        'unit: sectors',
    ]
    for part in plan.partitions(specimen):
        kind = (
            _GPT_TYPES.get(part.use, _LINUX)
            if gpt
            else _MBR_TYPES.get(part.use, '83')
        )
        start, size = (
            mib * plan.SECTORS_PER_MIB
            for mib in (part.start_mib, part.size_mib)
        )
        line = f'{part.device} : start={start}, size={size}, type={kind}'
        # The mark of a PC's installer: some firmware wants one.
        if not gpt and part.number == 1:
            line += ', bootable'
        lines.append(line)
    return '\n'.join(lines) + '\n'


def _moved_out(folder: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    mode = folder.stat().st_mode
    folder.rename(target)
    folder.mkdir()
    folder.chmod(mode & 0o7777)
    return target


class _Maker:
    """Makes what is in one partition, as a file of its size."""

    def __init__(
        self,
        specimen: specimens.Specimen,
        identity: plan.Identity,
        part: plan.Partition,
        work: pathlib.Path,
    ) -> None:
        self._specimen = specimen
        self._identity = identity
        self._part = part
        self._work = work

    def make(self, image: pathlib.Path, folder: pathlib.Path | None) -> None:
        """Write the file; a folder that is None makes it swap."""
        use, size_mib = self._part.use, self._part.size_mib
        if use is plan.Use.LVM and folder:
            self._lvm(image, folder)
        elif folder is None:
            _truncate(image, size_mib)
            process.run(
                ['mkswap', '-U', str(self._uuid(use)), image], timeout_s=60
            )
        elif use is plan.Use.ROOT:
            self._root(image, folder)
        else:
            _ext4(image, folder, size_mib, self._uuid(use))

    def _uuid(self, use: plan.Use) -> uuid.UUID:
        return self._identity.of(use)

    def _root(self, image: pathlib.Path, folder: pathlib.Path) -> None:
        root_uuid = self._uuid(plan.Use.ROOT)
        filesystem = self._specimen.filesystem
        if filesystem is specimens.Filesystem.EXT4:
            _ext4(image, folder, self._part.size_mib, root_uuid)
            return
        _truncate(image, self._part.size_mib)
        subvolume = ''
        if filesystem is specimens.Filesystem.XFS:
            # GRUB before 2.12 does not read the large extent counters.
            argv = ['mkfs.xfs', '-q', '-f', '-i', 'nrext64=0']
            argv += ['-m', f'uuid={root_uuid}']
        else:
            argv = ['mkfs.btrfs', '-q', '-f', '-U', str(root_uuid)]
            subvolume = plan.SUBVOLUME
        process.run([*argv, image], timeout_s=300)
        mount_point = self._work / 'mnt'
        mount_point.mkdir()
        fill.populate(image, folder, mount_point, subvolume)
        mount_point.rmdir()

    def _lvm(self, image: pathlib.Path, folder: pathlib.Path) -> None:
        size_mib = self._part.size_mib
        _truncate(image, size_mib)
        volume_mib = size_mib - _LVM_OVERHEAD_MIB - size_mib % 4
        start_bytes = _label_lvm(image, volume_mib)
        volume = self._work / 'volume.img'
        _ext4(volume, folder, volume_mib, self._uuid(plan.Use.ROOT))
        part_files.copy_sparse(volume, image, start_bytes)
        volume.unlink()


def _label_lvm(image: pathlib.Path, volume_mib: int) -> int:
    """Make a volume group with one volume; return where that starts, bytes."""
    device = process.run(
        ['losetup', '--find', '--show', image], timeout_s=60
    ).stdout.strip()

    def lvm(*words: str) -> str:
        done = process.run(
            [*('lvm', words[0], '--config', _LVM_SETTINGS)]
            + [*('--devices', device), *words[1:]],
            timeout_s=60,
        )
        return done.stdout.strip()

    group = plan.VOLUME_GROUP
    try:
        lvm('pvcreate', '--yes', '--zero', 'n', device)
        lvm('vgcreate', group, device)
        lvm(
            *('lvcreate', '--activate', 'n', '--zero', 'n'),
            *('--wipesignatures', 'n', '--size', f'{volume_mib}M'),
            *('--name', plan.LOGICAL_VOLUME, group),
        )
        start = lvm(
            *('pvs', '--noheadings', '--nosuffix', '--units', 'b'),
            *('--options', 'pe_start', device),
        )
    finally:
        process.run(['losetup', '--detach', device], timeout_s=60)
    return int(start)


def _truncate(image: pathlib.Path, size_mib: int) -> None:
    with image.open('wb') as sink:
        sink.truncate(size_mib * specimens.MIB)


def _ext4(
    image: pathlib.Path,
    folder: pathlib.Path,
    size_mib: int,
    filesystem_uuid: uuid.UUID,
) -> None:
    process.run(
        ['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '1']
        + ['-O', disk.EXT4_FEATURES, '-U', str(filesystem_uuid)]
        + ['-E', 'lazy_itable_init=1', '-d', str(folder)]
        + [str(image), f'{size_mib}M'],
        timeout_s=300,
    )
