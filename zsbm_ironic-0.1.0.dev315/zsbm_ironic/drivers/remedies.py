# SPDX-License-Identifier: Apache-2.0
"""What helps when the agent fails a deploy step, by what it said.

The agent's messages say what broke, seldom what to do. Called by the deploy
interface where a preparation or a step has failed; the result goes to node
history.
"""

import re

# The first that matches counts; words of ironic_python_agent.errors and of
# the kernel.
REMEDIES = (
    (
        re.compile(
            'verifying image checksum|verify against checksum'
            '|image checksum is invalid or does not match'
        ),
        'The image differs from its checksum: correct instance_info '
        'image_checksum (or image_os_hash_value), or publish the image again.',
    ),
    (
        re.compile(r'to device \S+ .*No space left|to device .*Errno 28'),
        'The image is larger than the disk: choose a larger disk by property '
        'root_device, or a smaller image.',
    ),
    (
        re.compile('No space left|Errno 28'),
        'The image does not fit into the memory of the ramdisk: set '
        '[agent]image_download_source=local, so that the conductor converts '
        'it and the ramdisk streams it to disk.',
    ),
    (
        re.compile(r'No suitable device.* smaller than \d+B'),
        'Every disk of this server is smaller than the agent takes by itself '
        '(4 GiB): use a larger disk, or name this one by property '
        'root_device.',
    ),
    (
        re.compile('No suitable device|No devices could be found'),
        'No disk matches: compare property root_device with the disks in '
        '"openstack baremetal node inventory save", and look at cables.',
    ),
    (
        re.compile('downloading image|Image download|Download of image'),
        'The ramdisk could not fetch the image: look whether instance_info '
        'image_source can be reached from the provisioning network.',
    ),
    (
        re.compile('valid partition table|No partitions found'),
        'What was written is no whole-disk image that this disk can have: '
        'check image_source, and the sector size that the image is made for.',
    ),
)


def remedy_for(message: str) -> str | None:
    """Return what helps against an error of the agent, None if unknown."""
    for pattern, remedy in REMEDIES:
        if pattern.search(message):
            return remedy
    return None
