# SPDX-License-Identifier: Apache-2.0
"""What a node's history tells of deploys, in the tree of `common.exception`.

::

    ZsbmError
    |-- Retry
    |   `-- ConductorRestarted
    `-- FixSettings
        |-- RamdiskUnsuitable, ImageNotForThisInterface, ImageUnreachable
        `-- ConductorDiskFull, DeployStepFailed, SwitchInvalid,
            ImageCannotBoot, NowhereToPush, PushCaUnreadable

Here and not there: only the conductor's interfaces raise them. No ironic is
imported; they are translated like all others.
"""

from zsbm_ironic.common import exception


class RamdiskUnsuitable(exception.FixSettings):
    """The deploy ramdisk lacks our in-band part, or has an old one."""

    template = (
        'Node {node}: the deploy ramdisk has {found}; this conductor needs '
        'version {wanted} or newer. Rebuild the ramdisk with this release in '
        'it (pip install "zsbm-ironic[ramdisk]") and set it as driver_info '
        'deploy_ramdisk or [conductor]deploy_ramdisk; or deploy this node '
        'without it: openstack baremetal node set {node} --deploy-interface '
        'direct.'
    )
    EXAMPLE = {
        'node': 'web-3',
        'found': 'in-band part 1.0',
        'wanted': '1.2',
    }


class ImageNotForThisInterface(exception.FixSettings):
    """What the node is asked to boot is another deploy interface's job."""

    template = (
        'Node {node}: instance_info has {key} and no image_source. The '
        'deploy interface zsbm writes an image to disk; to boot {key} set '
        '--deploy-interface ramdisk, or give image_source.'
    )
    EXAMPLE = {'node': 'web-3', 'key': 'boot_iso'}


class ImageUnreachable(exception.FixSettings):
    """The conductor cannot reach the image that a node is to get."""

    template = (
        'Node {node}: image {image} cannot be had: {why} Correct '
        'instance_info image_source, or make the image readable for this '
        'conductor.'
    )
    EXAMPLE = {
        'node': 'web-3',
        'image': 'https://images.example.org/debian-12.qcow2',
        'why': 'Got HTTP code 404 instead of 200 in response to HEAD request.',
    }


class ConductorDiskFull(exception.FixSettings):
    """The management node has no room for what a node is to boot or get."""

    template = (
        'Node {node}: the disk of conductor {conductor} is full: {why} Make '
        'room there, or move [pxe]images_path, instance_master_path and '
        'tftp_master_path, and [deploy]http_root, to a larger disk.'
    )
    EXAMPLE = {
        'node': 'web-3',
        'conductor': 'deploy-1',
        'why': (
            "Disk volume where '/var/lib/ironic/images' is located doesn't "
            'have enough disk space. Required 900 MiB, only 12 MiB available '
            'space present.'
        ),
    }


class ConductorRestarted(exception.Retry):
    """A conductor died while it worked on a node; that work is lost."""

    template = (
        'Node {node}: conductor {conductor} was started again while it was at '
        'work on this node, which is {state} now. That try is lost and '
        'nothing else. Begin again: {again}'
    )
    EXAMPLE = {
        'node': 'web-3',
        'conductor': 'deploy-1',
        'state': 'clean failed',
        'again': 'openstack baremetal node manage web-3, then openstack '
        'baremetal node provide web-3',
    }


class DeployStepFailed(exception.FixSettings):
    """A step in the ramdisk failed in a way that a person can mend."""

    template = 'Node {node}: {what} {remedy}'
    EXAMPLE = {
        'node': 'web-3',
        'what': 'Error verifying image checksum: ... failed to verify.',
        'remedy': 'Correct instance_info image_checksum.',
    }


class SwitchInvalid(exception.FixSettings):
    """A switch is not at one of its positions."""

    template = (
        'Node {node}: {key} is {value!r}, in instance_info or as a property '
        'of the image. It is one of {known}.'
    )
    EXAMPLE = {
        'node': 'web-3',
        'key': 'zsbm_adapt_image',
        'value': 'maybe',
        'known': 'auto, always, never',
    }


class ImageCannotBoot(exception.FixSettings):
    """A check found before that the image does not boot on such a server."""

    template = (
        'Node {node}: its image does not boot there: {what}; {remedy}. So '
        'said zsbm-image check; check it again with --keep after a change.'
    )
    EXAMPLE = {
        'node': 'web-3',
        'what': 'its programs are for aarch64, the server is x86_64',
        'remedy': 'use an image for this architecture',
    }


class NowhereToPush(exception.FixSettings):
    """A system is to push its figures, and nobody takes them."""

    template = (
        'Node {node}: {key} is push, and conductor {conductor} takes no '
        'pushes. Set [zsbm_monitoring]enabled, push_listen and push_url '
        'there, or {key} to pull, present or off.'
    )
    EXAMPLE = {
        'node': 'web-3',
        'key': 'zsbm_os_metrics',
        'conductor': 'deploy-1',
    }


class PushCaUnreadable(exception.FixSettings):
    """Servers cannot be told by which certificate to know us."""

    template = (
        'Node {node}: [zsbm_monitoring]push_ca_file {file} of conductor '
        '{conductor} cannot be read: {problem}. Put the certificates there, '
        'or unset it where servers know them anyway.'
    )
    EXAMPLE = {
        'node': 'web-3',
        'file': '/etc/zsbm-ironic/push-ca.pem',
        'conductor': 'deploy-1',
        'problem': 'No such file or directory',
    }
