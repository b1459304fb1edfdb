# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a server and its networks, on the common tree.

::

    ZsbmError
    `-- FixSettings
        `-- NetworkWrong, PortNotBound, PortNotWired
"""

from zsbm_ironic.common import exception

_SEEN = (
    '52:54:00:12:34:56: is on physnet2, but vpc-a is on physnet1 '
    '(physical-network). openstack baremetal port set '
    '5c0e30bd-5a8a-4f46-8c5e-0f9a7d3c3a11 --physical-network physnet1.'
)


class NetworkWrong(exception.FixSettings):
    """Something was found that will not work."""

    template = (
        'the network will not work: {findings} All that is looked at: '
        'openstack baremetal node network check {node}'
    )
    EXAMPLE = {'node': 'web-3', 'findings': _SEEN}


class PortNotBound(exception.FixSettings):
    """Neutron did not put a port of a server into its network."""

    template = (
        'port {port} of Neutron is not bound: {why}. {settings} The log of '
        'Neutron tells what each mechanism driver said of the port.'
    )
    EXAMPLE = {
        'port': '0b0d7a7e-8a3a-4a2e-9b6b-0a4f6c1f0d55',
        'why': 'no mechanism driver of Neutron took it',
        'settings': _SEEN,
    }


class PortNotWired(exception.FixSettings):
    """No port of a node says which switch it is plugged into."""

    template = (
        'none of its ports has switch_info and port_id in '
        'local_link_connection, so Neutron cannot put it into a network. Set '
        'them: openstack baremetal port set PORT --local-link-connection '
        'switch_info=SWITCH --local-link-connection port_id=PORT'
    )
