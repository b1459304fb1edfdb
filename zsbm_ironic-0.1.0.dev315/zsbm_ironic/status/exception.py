# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in `zsbm-status`, in the tree of `common.exception`.

::

    ZsbmError
    |-- Retry
    |   `-- StatusApiUnreachable
    `-- FixSettings
        `-- StatusHostUnsuitable, StatusConfigurationUnreadable
"""

from zsbm_ironic.common import exception


class StatusHostUnsuitable(exception.FixSettings):
    """Settings cannot be worked out for this host."""

    template = (
        'No settings can be made for this host: {what}. Give it an address '
        'on the provisioning network, or name the interface with '
        '--interface.'
    )
    EXAMPLE = {'what': 'no IPv4 address on eth1'}


class StatusConfigurationUnreadable(exception.FixSettings):
    """A configuration file cannot be read or has a value that is refused."""

    template = (
        'The configuration cannot be read: {problem}. Name the files of the '
        'conductor with --config-file, and run as a user who may read them.'
    )
    EXAMPLE = {'problem': '/etc/ironic/ironic.conf: permission denied'}


class StatusApiUnreachable(exception.Retry):
    """The Bare Metal API could not be asked."""

    template = (
        'The Bare Metal API did not answer: {problem}. Set OS_CLOUD or the '
        'OS_* variables, as for `openstack baremetal node list`.'
    )
    EXAMPLE = {'problem': 'Auth plugin requires parameters: auth_url'}
