# SPDX-License-Identifier: Apache-2.0
"""Networks that a member makes: two private clouds, a way out of one.

A VLAN each, as Neutron chooses it; DHCP is OVN's. OVN also answers what is
asked of the resolver about servers of the same network, on the way to the
address of the router: where there is none, nobody answers. Each step looks
first whether it was done.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from openstack import connection

VPC_A, VPC_B = 'vpc-a', 'vpc-b'
CIDRS = {VPC_A: '10.0.1.0/24', VPC_B: '10.0.2.0/24'}
# Numbers of the addresses that Neutron gives away: some are left for whoever
# is put on a network by hand.
FIRST, LAST = 10, 199
SECURITY_GROUP = 'default'
SSH_PORT = 22


def make(member: connection.Connection, *, outside: str, near: str) -> None:
    """Make both networks, the router of the first, and who may knock.

    To be called inside the namespace of the lab.

    :param outside: name of the network beyond the router.
    :param near: CIDR of that network.
    """
    for name, cidr in CIDRS.items():
        _make_network(member, name, cidr)
    _make_router(member, VPC_A, outside)
    _let_in(member, [near, *CIDRS.values()])


def pool(cidr: str) -> tuple[str, str]:
    """Return the first and the last address that Neutron gives away."""
    network = ipaddress.ip_network(cidr)
    return str(network[FIRST]), str(network[LAST])


def _make_network(member: connection.Connection, name: str, cidr: str) -> None:
    network = member.network.find_network(name)
    if network is None:
        network = member.network.create_network(name=name)
    if member.network.find_subnet(name) is None:
        router = str(ipaddress.ip_network(cidr)[1])
        first, last = pool(cidr)
        member.network.create_subnet(
            network_id=network.id,
            name=name,
            ip_version=4,
            cidr=cidr,
            gateway_ip=router,
            allocation_pools=[{'start': first, 'end': last}],
            dns_nameservers=[router],
        )


def _make_router(
    member: connection.Connection, name: str, outside: str
) -> None:
    """Make the router of a network, of the same name.

    :param outside: network that it has its gateway on.
    """
    router = member.network.find_router(name)
    if router is None:
        beyond = member.network.find_network(outside, ignore_missing=False)
        router = member.network.create_router(
            name=name, external_gateway_info={'network_id': beyond.id}
        )
    subnet = member.network.find_subnet(name, ignore_missing=False)
    ports = member.network.ports(
        device_id=router.id, network_id=subnet.network_id
    )
    if not list(ports):
        member.network.add_interface_to_router(router, subnet.id)


def _let_in(member: connection.Connection, cidrs: Iterable[str]) -> None:
    """Let these networks ping the member's VMs and log in to them."""
    # Neutron makes the group when it is asked for it.
    group = member.network.find_security_group(
        SECURITY_GROUP, ignore_missing=False
    )
    for rule in missing(group.security_group_rules, cidrs):
        member.network.create_security_group_rule(
            security_group_id=group.id, **rule
        )


def missing(
    there: Iterable[dict[str, Any]], cidrs: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Return the rules that a security group has not yet, of those wanted.

    :param there: its rules, as Neutron returns them.
    :param cidrs: who may ping and log in.
    """
    known = {
        (rule['direction'], rule['protocol'], rule['remote_ip_prefix'])
        for rule in there
    }
    for cidr in cidrs:
        for protocol, ports in (
            ('icmp', {}),
            ('tcp', {'port_range_min': SSH_PORT, 'port_range_max': SSH_PORT}),
        ):
            if ('ingress', protocol, cidr) not in known:
                yield {
                    'direction': 'ingress',
                    'ethertype': 'IPv4',
                    'protocol': protocol,
                    'remote_ip_prefix': cidr,
                    **ports,
                }
