# SPDX-License-Identifier: Apache-2.0
"""Where everything is on the disk of a VM image, and what it is called.

Called by `configure`, `menu` and `disks`, which must agree. Pure: reads a row
of the table and nothing else.
"""

import dataclasses
import enum
import uuid

from zsbm_ironic.lab.vm_images import specimens

SECTORS_PER_MIB = 2048
BOOT_MIB = 256
ESP_MIB = 32
SMALL_MIB = 64
VOLUME_GROUP = 'vm'
LOGICAL_VOLUME = 'root'
SUBVOLUME = '@rootfs'
_NAMESPACE = uuid.UUID('1f0c3d0e-7f0a-4b6f-8f0e-5f2c9a6e7b41')


class Use(enum.Enum):
    """What a partition is for."""

    BIOS_BOOT = 'bios_boot'
    ESP = 'esp'
    BOOT = 'boot'
    ROOT = 'root'
    LVM = 'lvm'
    SWAP = 'swap'
    SRV = 'srv'


@dataclasses.dataclass(frozen=True)
class Partition:
    """One partition.

    :ivar number: N of /dev/vdaN; not always in the order of the disk.
    """

    use: Use
    number: int
    start_mib: int
    size_mib: int

    @property
    def device(self) -> str:
        """Name that a virtio VM has for it."""
        return f'/dev/vda{self.number}'


@dataclasses.dataclass(frozen=True)
class Identity:
    """Identifiers of one image, the same whenever it is built."""

    seed: str

    def of(self, use: Use) -> uuid.UUID:
        """Return the UUID of a file system or of swap."""
        return uuid.uuid5(_NAMESPACE, f'{self.seed}:{use.value}')

    @property
    def esp_serial(self) -> int:
        """32 bits that name the FAT of the ESP."""
        return self.of(Use.ESP).int >> 96

    @property
    def disk(self) -> uuid.UUID:
        """GUID of the GPT; the first 32 bits are the MBR's signature."""
        return uuid.uuid5(_NAMESPACE, f'{self.seed}:disk')

    @property
    def machine_id(self) -> str:
        """What a VM that was started once has in /etc/machine-id."""
        return uuid.uuid5(_NAMESPACE, f'{self.seed}:machine').hex


def partitions(specimen: specimens.Specimen) -> tuple[Partition, ...]:
    """Return the partitions in the order of the disk.

    A hybrid disk has the numbers of Debian's cloud images: the root is 1,
    though it is last.
    """
    hybrid = specimen.boot is specimens.Boot.HYBRID
    # The last MiB is for the backup of a GPT.
    end_mib = specimens.VIRTUAL_MIB - 1
    wanted: list[tuple[Use, int]] = []
    if specimen.table is specimens.Table.GPT:
        if specimen.boot is not specimens.Boot.UEFI:
            wanted.append((Use.BIOS_BOOT, 1))
        if specimen.boot is not specimens.Boot.BIOS:
            wanted.append((Use.ESP, ESP_MIB))
    if specimen.separate_boot:
        wanted.append((Use.BOOT, BOOT_MIB))
    lvm = specimen.layout is specimens.Layout.LVM
    wanted.append((Use.LVM if lvm else Use.ROOT, 0))
    if specimen.layout is specimens.Layout.FOUR:
        wanted += [(Use.SWAP, SMALL_MIB), (Use.SRV, SMALL_MIB)]
    rest_mib = end_mib - 1 - sum(size_mib for _, size_mib in wanted)
    numbers = {Use.ROOT: 1, Use.BIOS_BOOT: 14, Use.ESP: 15} if hybrid else {}
    found = []
    start_mib = 1
    for place, (use, size_mib) in enumerate(wanted, 1):
        size_mib = size_mib or rest_mib
        number = numbers.get(use, place)
        found.append(Partition(use, number, start_mib, size_mib))
        start_mib += size_mib
    return tuple(found)


def find(specimen: specimens.Specimen, use: Use) -> Partition | None:
    """Return the partition for a use, or None where there is none."""
    return next(
        (part for part in partitions(specimen) if part.use is use), None
    )


def reference(
    specimen: specimens.Specimen, identity: Identity, use: Use
) -> str:
    """Return how fstab names the file system (or swap) of a use."""
    if use is Use.ROOT and specimen.layout is specimens.Layout.LVM:
        return f'/dev/mapper/{VOLUME_GROUP}-{LOGICAL_VOLUME}'
    part = find(specimen, use)
    if part and specimen.root_by is specimens.RootBy.DEVICE:
        return part.device
    if use is Use.ESP:
        serial = f'{identity.esp_serial:08X}'
        return f'UUID={serial[:4]}-{serial[4:]}'
    return f'UUID={identity.of(use)}'
