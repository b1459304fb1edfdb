# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with an image, in the tree of `common.exception`.

::

    ZsbmError
    |-- FixSettings
    |   `-- ImageUnreadable, HardwareInvalid
    `-- GiveUp
        `-- ImageDamaged, PathTooTricky

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
