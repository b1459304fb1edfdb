# SPDX-License-Identifier: Apache-2.0
"""Reads networks, agents and bindings by Neutron's API.

Called with the network proxy of an openstacksdk connection whose account may
see every network (in the conductor: that of [neutron]). Writes nothing.
"""

import dataclasses
import ipaddress
from typing import Any

from openstack import exceptions

from zsbm_ironic.network import wiring

Client = Any


def find_network(client: Client, wanted: str) -> wiring.Network | None:
    """Return a network by id or name; None: none, or several of that name.

    :raises openstack.exceptions.SDKException: Neutron does not answer.
    """
    try:
        found = client.find_network(wanted, ignore_missing=True)
    except exceptions.DuplicateResource:
        return None
    return found and _network(client, found)


def network_of_port(client: Client, port: str) -> wiring.Network | None:
    """Return the network that a port of Neutron is in; None: no such port."""
    found = client.find_port(port, ignore_missing=True)
    return found and _network(client, client.get_network(found.network_id))


def subports(client: Client, vif: str) -> tuple[wiring.Subport, ...]:
    """Return the VLANs of the trunk that a port of Neutron is the parent of.

    :returns: empty: it is none, or there is no such port.
    """
    parent = client.find_port(vif, ignore_missing=True)
    details = parent and parent.trunk_details
    if not details:
        return ()
    return tuple(
        _subport(client, parent.id, one) for one in details['sub_ports']
    )


def _subport(
    client: Client, parent: str, said: dict[str, Any]
) -> wiring.Subport:
    port = client.get_port(said['port_id'])
    return wiring.Subport(
        parent,
        port.id,
        said['segmentation_id'],
        port.mac_address,
        _network(client, client.get_network(port.network_id)),
        tuple(
            _address(client.get_subnet(one['subnet_id']), one['ip_address'])
            for one in port.fixed_ips
        ),
        port.binding_vnic_type or '',
    )


def _address(subnet: Any, address: str) -> wiring.Address:
    return wiring.Address(
        address,
        ipaddress.ip_network(subnet.cidr).prefixlen,
        subnet.id,
        tuple(
            (one['destination'], one['nexthop'])
            for one in subnet.host_routes or ()
        ),
    )


def _network(client: Client, found: Any) -> wiring.Network:
    subnets = list(client.subnets(network_id=found.id))
    segments = _segments(client, found.id)
    return wiring.Network(
        found.id,
        found.name or found.id,
        # An overlay before the VLAN that it is led into.
        tuple(
            sorted(
                _by_provider(found) if segments is None else segments,
                key=lambda one: one.kind not in wiring.OVERLAYS,
            )
        ),
        found.mtu,
        any(one.is_dhcp_enabled for one in subnets),
        len(subnets),
        tells_all=segments is not None,
    )


def _segments(client: Client, network: str) -> list[wiring.Segment] | None:
    """Return its segments; None: the segments extension is not loaded.

    A VLAN that was made for servers alone is no provider attribute of the
    network: only that extension tells.
    """
    try:
        return [
            wiring.Segment(
                one.network_type,
                one.physical_network or '',
                one.segmentation_id,
            )
            for one in client.segments(network_id=network)
        ]
    except exceptions.NotFoundException:
        return None


def _by_provider(found: Any) -> list[wiring.Segment]:
    if found.segments:
        return [
            wiring.Segment(
                one['provider:network_type'],
                one['provider:physical_network'] or '',
                one['provider:segmentation_id'],
            )
            for one in found.segments
        ]
    if not found.provider_network_type:
        return []
    return [
        wiring.Segment(
            found.provider_network_type,
            found.provider_physical_network or '',
            found.provider_segmentation_id,
        )
    ]


def node_agents(client: Client, node: str) -> tuple[wiring.Agent, ...]:
    """Return the agents that report a node as a host.

    :param node: UUID.
    """
    return tuple(map(_agent, client.agents(host=node)))


def chassis(client: Client) -> tuple[wiring.Agent, ...]:
    """Return the hosts that OVN steers."""
    return tuple(
        _agent(one)
        for kind in sorted(wiring.CHASSIS_AGENTS)
        for one in client.agents(agent_type=kind)
    )


def _agent(found: Any) -> wiring.Agent:
    return wiring.Agent(
        found.agent_type,
        found.host,
        bool(found.is_alive),
        _mappings(found.configuration or {}),
    )


def _mappings(configuration: dict[str, Any]) -> frozenset[str]:
    """Return physical networks, as OVN's or another agent reports them."""
    said = configuration.get('bridge-mappings') or configuration.get(
        'bridge_mappings', {}
    )
    if isinstance(said, str):
        said = [word.partition(':')[0] for word in said.split(',') if word]
    return frozenset(said)


def vlan_ranges(client: Client) -> tuple[wiring.VlanRange, ...] | None:
    """Return what may be given away; None: the extension is not loaded."""
    try:
        return tuple(
            wiring.VlanRange(
                one.physical_network or '', one.minimum, one.maximum
            )
            for one in client.network_segment_ranges(network_type='vlan')
        )
    except exceptions.NotFoundException:
        return None


def hosts_of(client: Client, network: str) -> frozenset[str]:
    """Return the hosts that ports of a network are bound to."""
    return frozenset(
        port.binding_host_id
        for port in client.ports(network_id=network)
        if port.binding_host_id
    )


@dataclasses.dataclass(frozen=True)
class Binding:
    """How a port of Neutron is bound.

    :ivar port: its id.
    :ivar active: whether all that configures something for it has.
    :ivar kind: binding:vif_type; `other` for a server.
    """

    port: str
    active: bool
    kind: str
    network: str = ''

    @property
    def failed(self) -> bool:
        return self.kind == 'binding_failed'

    @property
    def bound(self) -> bool:
        return self.active and self.kind not in {'', 'unbound'}


def binding(client: Client, port: str) -> Binding | None:
    """Return how a port is bound; None: there is no such port."""
    found = client.find_port(port, ignore_missing=True)
    return found and Binding(
        found.id,
        found.status == 'ACTIVE',
        found.binding_vif_type or '',
        found.network_id,
    )
