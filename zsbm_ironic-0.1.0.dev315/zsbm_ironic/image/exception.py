# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with an image, in the tree of `common.exception`.

::

    ZsbmError
    |-- FixSettings
    |   |-- ImageUnreadable, HardwareInvalid, OutputExists, GuestMissing
    |   |-- NodeUnknown, NotInspected, VerdictsUnreadable
    |   |-- SdkMissing, GlanceNotTold
    |   |-- KitMissing, KitNotFetched, KitsUnreadable
    |   `-- NotConverted
    |       `-- NotJudged
    `-- GiveUp
        |-- ImageDamaged, PathTooTricky, NoRoom
        `-- NotEditable
            `-- MountNeeded

That an image does not boot somewhere is no error but a verdict.
"""

from zsbm_ironic.common import exception


class ImageUnreadable(exception.FixSettings):
    """The file is no image, or one that may not be opened."""

    template = 'Image {image}: {why}.'
    EXAMPLE = {
        'image': 'web.qcow2',
        'why': 'it has a backing file, which could be any file of this host; '
        'flatten it first: qemu-img convert',
    }


class ImageDamaged(exception.GiveUp):
    """Something in the image is not as its format says."""

    template = 'Image {image}: {what} cannot be read: {why}.'
    EXAMPLE = {
        'image': 'web.qcow2',
        'what': 'the file system on partition 1',
        'why': 'superblock checksum does not match superblock',
    }


class PathTooTricky(exception.GiveUp):
    """A path of the image cannot be followed to its end."""

    template = 'Path {path} of the image: {why}.'
    EXAMPLE = {'path': '/boot/vmlinuz', 'why': 'more than 40 symbolic links'}


class HardwareInvalid(exception.FixSettings):
    """A description of hardware is not as its schema says."""

    template = 'Hardware {name}: {problem}'
    EXAMPLE = {
        'name': 'rack7.toml',
        'problem': "firmware: 'efi' is not one of bios, uefi.",
    }


class NoRoom(exception.GiveUp):
    """A file system or a disk of the image is full."""

    template = (
        'Image {image}: {where} has {free_kib} KiB left, and {what} needs '
        '{needed_kib} KiB. Remove something in the image, or make it larger.'
    )
    EXAMPLE = {
        'image': 'web.qcow2',
        'where': 'the file system of /boot',
        'free_kib': 1200,
        'what': '/boot/initrd.img-6.1.0-9-amd64',
        'needed_kib': 4100,
    }


class NotEditable(exception.GiveUp):
    """Something of the image cannot be changed by what is here."""

    template = 'Image {image}: {what} cannot be changed: {why}.'
    EXAMPLE = {
        'image': 'web.qcow2',
        'what': 'the file system of /',
        'why': 'btrfs is not written to without a mount',
    }


class MountNeeded(NotEditable):
    """Only a kernel writes to this file system."""


class NotConverted(exception.FixSettings):
    """An image does not boot on the hardware, also after a conversion."""

    template = 'Image {image} cannot be made to boot on {hardware}: {why}.'
    EXAMPLE = {
        'image': 'web.qcow2',
        'hardware': 'bios-sata',
        'why': 'the root file system is encrypted by LUKS',
    }


class NotJudged(NotConverted):
    """It may boot or not: nobody here can tell."""


class OutputExists(exception.FixSettings):
    """A file is there already."""

    template = (
        '{path} is there already. Choose another name, or say --force to '
        'replace it.'
    )
    EXAMPLE = {'path': 'metal.qcow2'}


class GuestMissing(exception.FixSettings):
    """A file system wants a kernel that mounts it, and none was named."""

    template = (
        'Image {image}: {what}. A machine of its own can: name kernel and '
        'initramfs of your deploy ramdisk by --kernel and --initramfs.'
    )
    EXAMPLE = {
        'image': 'web.qcow2',
        'what': 'btrfs on partition 2 is not written to without a mount',
    }


class NodeUnknown(exception.FixSettings):
    """Ironic was asked for a node, in vain."""

    template = 'Node {node}: {why}. Ask a cloud that has it: --os-cloud, OS_*.'
    EXAMPLE = {'node': 'web-3', 'why': 'no cloud is named'}


class NotInspected(exception.FixSettings):
    """Nobody looked at the hardware of a node yet, or an old ramdisk did."""

    template = (
        'Node {node}: its hardware is not known: {why}. Inspect it with a '
        'deploy ramdisk of this release: openstack baremetal node inspect '
        '{node}'
    )
    EXAMPLE = {'node': 'web-3', 'why': 'its inventory has no zsbm_hardware'}


class VerdictsUnreadable(exception.FixSettings):
    """What was kept of an image is not as it was written."""

    template = (
        'The verdicts in {where} cannot be read: {why}. Delete them and check '
        'the image again: zsbm-image check --keep, or --glance'
    )
    EXAMPLE = {
        'where': '/var/lib/ironic/zsbm-verdicts/9f86d081.json',
        'why': 'Permission denied',
    }


class KitMissing(exception.FixSettings):
    """An image wants a kernel for hardware, and none is served."""

    template = (
        'The image ({identifier}, {architecture}) has a kernel for VMs alone, '
        'and its conductor serves none for hardware. Have it do so: '
        'zsbm-image kit build {name} --serve FOLDER, the folder that its '
        '[zsbm_image]kit_dir names; or write the image by zsbm-image convert.'
    )
    EXAMPLE = {
        'identifier': 'debian 12',
        'architecture': 'x86_64',
        'name': 'debian-12',
    }


class KitNotFetched(exception.FixSettings):
    """A kernel for hardware did not come, or is not what was promised."""

    template = (
        'The kernel at {url} was not fetched: {why}. Look whether this URL '
        'is served, and have it made anew: zsbm-image kit build --serve'
    )
    EXAMPLE = {
        'url': 'http://192.0.2.1:8080/zsbm-kits/debian-12-x86_64-0a1b.kit',
        'why': 'its SHA-256 is not the one that the conductor has',
    }


class KitsUnreadable(exception.FixSettings):
    """What says which kernels are served is not as it was written."""

    template = (
        '{path} cannot be read: {why}. Delete it, and make the kernel anew: '
        'zsbm-image kit build --serve'
    )
    EXAMPLE = {
        'path': '/httpboot/zsbm-kits/debian-12-x86_64.json',
        'why': 'Permission denied',
    }


class SdkMissing(exception.FixSettings):
    """A cloud is to be asked, and what asks it is not installed."""

    template = (
        'openstacksdk is not installed, which asks a cloud. It comes with '
        'zsbm-ironic[cli]: pip install zsbm-ironic[cli]'
    )


class GlanceNotTold(exception.FixSettings):
    """A verdict is to be kept in Glance, and cannot be."""

    template = 'Image {image} in Glance: {why}. The verdict is not kept.'
    EXAMPLE = {
        'image': 'web',
        'why': 'it is not the file that was checked (sha512 differs)',
    }
