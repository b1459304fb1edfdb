# SPDX-License-Identifier: Apache-2.0
"""The table of VM images: one row each, as users of VMs have them.

Called by every module of this room. Each row has things that keep the image
from booting on a server: drivers of VMs alone, device names of VMs, a way to
start that only one kind of firmware knows. Facts only: nothing is built here.
"""

import dataclasses
import enum

MIB = 1 << 20
# Big enough for a kernel with drivers of servers, small enough to copy.
VIRTUAL_MIB = 1280


class Initramfs(enum.Enum):
    """Which program makes the initramfs."""

    INITRAMFS_TOOLS = 'initramfs-tools'
    DRACUT = 'dracut'


class Scope(enum.Enum):
    """Which drivers are in the initramfs.

    VIRTIO is what MODULES=dep and dracut's hostonly leave on a VM.
    """

    VIRTIO = 'virtio'
    MOST = 'most'


class Init(enum.Enum):
    """The first process."""

    SYSTEMD = 'systemd'
    SYSVINIT = 'sysvinit'


class Table(enum.Enum):
    """The kind of partition table."""

    MBR = 'mbr'
    GPT = 'gpt'


class Layout(enum.Enum):
    """The file systems besides the root.

    FOUR has all four primary partitions of an MBR: /boot, root, swap, /srv.
    """

    SINGLE = 'single'
    BOOT = 'boot'
    LVM = 'lvm'
    FOUR = 'four'


class Filesystem(enum.Enum):
    """The root's; BTRFS has it in the subvolume @rootfs."""

    EXT4 = 'ext4'
    XFS = 'xfs'
    BTRFS = 'btrfs'


class Boot(enum.Enum):
    """Which firmware starts the image.

    UEFI has no EFI/BOOT/BOOTX64.EFI: it needs an entry in the VM's NVRAM.
    """

    BIOS = 'bios'
    UEFI = 'uefi'
    HYBRID = 'hybrid'


class Menu(enum.Enum):
    """Where the boot entries are.

    BLS has them as Fedora does; Debian's GRUB cannot read them, so grub.cfg
    has the entry as well, with the same kernelopts of grubenv.
    """

    GRUB = 'grub.cfg'
    BLS = 'bls'


class RootBy(enum.Enum):
    """How the kernel command line and fstab name file systems."""

    DEVICE = 'device'
    UUID = 'uuid'


class Network(enum.Enum):
    """What configures the network card, always bound to a VM's name of it.

    ETH0 is ifupdown as well, with net.ifnames=0 on the kernel command line.
    """

    IFUPDOWN = 'ifupdown'
    ETH0 = 'eth0'
    NETWORKD = 'networkd'
    NETPLAN = 'netplan'
    NETWORK_MANAGER = 'nm'


@dataclasses.dataclass(frozen=True)
class System:
    """The packages: images that have the same share one package root.

    :ivar release: Debian's codename.
    :ivar kernel: package of the kernel.
    :ivar extra: further packages.
    """

    release: str
    kernel: str
    architecture: str = 'amd64'
    initramfs: Initramfs = Initramfs.INITRAMFS_TOOLS
    scope: Scope = Scope.VIRTIO
    init: Init = Init.SYSTEMD
    extra: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Specimen:
    """One VM image.

    :ivar name: how it is asked for; what the ready line says.
    """

    name: str
    system: System
    table: Table
    boot: Boot
    network: Network
    layout: Layout = Layout.SINGLE
    filesystem: Filesystem = Filesystem.EXT4
    menu: Menu = Menu.GRUB
    root_by: RootBy = RootBy.UUID

    @property
    def interface(self) -> str:
        """Name that the network configuration has for the card."""
        return 'eth0' if self.network is Network.ETH0 else 'ens3'

    @property
    def separate_boot(self) -> bool:
        """Whether /boot is a file system of its own."""
        return self.layout is not Layout.SINGLE

    @property
    def console(self) -> str:
        """The only console: VMs have no screen."""
        arm = self.system.architecture == 'arm64'
        return 'ttyAMA0' if arm else 'ttyS0'


_CLOUD = System('bookworm', 'linux-image-cloud-amd64', scope=Scope.MOST)
_GENERIC = System(
    'bookworm', 'linux-image-amd64', extra=('btrfs-progs', 'lvm2')
)
_DRACUT = System(
    'bookworm',
    'linux-image-amd64',
    initramfs=Initramfs.DRACUT,
    extra=('xfsprogs',),
)
_SYSVINIT = System('bookworm', 'linux-image-amd64', init=Init.SYSVINIT)
_CLOUD_13 = System(
    'trixie',
    'linux-image-cloud-amd64',
    scope=Scope.MOST,
    extra=('netplan.io',),
)
_DRACUT_13 = System(
    'trixie',
    'linux-image-amd64',
    initramfs=Initramfs.DRACUT,
    extra=('network-manager',),
)
_GENERIC_13 = System('trixie', 'linux-image-amd64', extra=('xfsprogs',))
# A closed release: this kernel is its last, and not all mirrors still have the
# package that names it.
_CLOUD_11 = System(
    'bullseye', 'linux-image-5.10.0-46-cloud-amd64', scope=Scope.MOST
)
_ARM = System('bookworm', 'linux-image-arm64', architecture='arm64')

SPECIMENS = (
    Specimen(
        'debian12-cloud', _CLOUD, Table.GPT, Boot.HYBRID, Network.NETWORKD
    ),
    Specimen(
        'debian12-mbr',
        _GENERIC,
        Table.MBR,
        Boot.BIOS,
        Network.IFUPDOWN,
        root_by=RootBy.DEVICE,
    ),
    Specimen(
        'debian12-lvm',
        _GENERIC,
        Table.MBR,
        Boot.BIOS,
        Network.IFUPDOWN,
        layout=Layout.LVM,
    ),
    Specimen(
        'debian12-btrfs',
        _GENERIC,
        Table.GPT,
        Boot.BIOS,
        Network.NETWORKD,
        filesystem=Filesystem.BTRFS,
    ),
    Specimen(
        'debian12-xfs-dracut',
        _DRACUT,
        Table.GPT,
        Boot.BIOS,
        Network.NETWORKD,
        filesystem=Filesystem.XFS,
    ),
    Specimen(
        'debian12-sysvinit',
        _SYSVINIT,
        Table.MBR,
        Boot.BIOS,
        Network.ETH0,
        root_by=RootBy.DEVICE,
    ),
    Specimen(
        'debian12-uefi-only',
        _GENERIC,
        Table.GPT,
        Boot.UEFI,
        Network.IFUPDOWN,
    ),
    Specimen(
        'debian13-cloud', _CLOUD_13, Table.GPT, Boot.HYBRID, Network.NETPLAN
    ),
    Specimen(
        'debian13-dracut-bls',
        _DRACUT_13,
        Table.GPT,
        Boot.BIOS,
        Network.NETWORK_MANAGER,
        layout=Layout.BOOT,
        menu=Menu.BLS,
    ),
    Specimen(
        'debian13-xfs',
        _GENERIC_13,
        Table.MBR,
        Boot.BIOS,
        Network.NETWORKD,
        layout=Layout.BOOT,
        filesystem=Filesystem.XFS,
        root_by=RootBy.DEVICE,
    ),
    Specimen(
        'debian11-cloud', _CLOUD_11, Table.GPT, Boot.HYBRID, Network.IFUPDOWN
    ),
    Specimen(
        'debian12-four-primaries',
        _GENERIC,
        Table.MBR,
        Boot.BIOS,
        Network.IFUPDOWN,
        layout=Layout.FOUR,
        root_by=RootBy.DEVICE,
    ),
    Specimen('debian12-arm64', _ARM, Table.GPT, Boot.UEFI, Network.NETWORKD),
)

# Not of the table: for what a system is told as it starts for the first time.
CLOUD_INIT = Specimen(
    'debian12-cloud-init',
    System(
        'bookworm',
        'linux-image-amd64',
        scope=Scope.MOST,
        extra=('cloud-guest-utils', 'cloud-init'),
    ),
    Table.GPT,
    Boot.HYBRID,
    Network.IFUPDOWN,
)


def by_name(name: str) -> Specimen:
    """Return a row of the table, or CLOUD_INIT.

    :raises KeyError: there is none of that name.
    """
    every = (*SPECIMENS, CLOUD_INIT)
    return {specimen.name: specimen for specimen in every}[name]
