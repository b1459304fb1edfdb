# SPDX-License-Identifier: Apache-2.0
"""A routed subnet of the lab, behind a DHCP relay.

As in a machine room where the provisioning servers are in another rack: the
machines' broadcasts reach a router, which passes them on to the boot service.
Called by `up` where a declared NIC is on that subnet, and for a cloud, whose
flat network is that subnet.
"""

from zsbm_ironic.lab import daemon, layout, network

NAMESPACE = f'{layout.NAMESPACE}-relay'
BRIDGE = 'br-relay'
NEAR_ADDRESS = '198.51.100.3'
FAR_ADDRESS = '203.0.113.1'
# One line of [zsbm_netboot]subnets.
SUBNET = (
    f'cidr:{layout.RELAYED_CIDR},range:203.0.113.50-203.0.113.99,'
    f'gateway:{FAR_ADDRESS},relayed:true'
)


def connect() -> None:
    """Make the subnet and its router; idempotent."""
    connect_near()
    network.add_bridge(BRIDGE)
    network.create_branch(
        NAMESPACE, f'{FAR_ADDRESS}/24', bridge=BRIDGE, inner='eth1'
    )


def connect_near() -> None:
    """Make the router, without what is beyond it; idempotent."""
    network.create_branch(NAMESPACE, f'{NEAR_ADDRESS}/24')
    network.forward(NAMESPACE)
    network.route(layout.RELAYED_CIDR, NEAR_ADDRESS)


def service() -> daemon.Daemon:
    """Return the relay."""
    server = layout.CONDUCTOR_ADDRESSES[0]
    return daemon.Daemon(
        'dhcp-relay',
        (
            *('dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null'),
            *('--port=0', '--user=root', '--log-facility=-', '--log-dhcp'),
            f'--dhcp-relay={FAR_ADDRESS},{server}',
        ),
        namespace=NAMESPACE,
    )
