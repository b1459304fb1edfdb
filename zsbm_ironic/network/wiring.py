# SPDX-License-Identifier: Apache-2.0
"""What is known of a server's ports and of the networks that it is to be in.

Value types only; `neutron` reads them by Neutron's API, `checked` from
Ironic's ports.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

# IEEE 802.1Q table 9-2: 0 is "no VLAN", 4095 is reserved.
VLANS = range(1, 4095)
# Network types of Neutron that end at a VLAN tag of a switch port, and those
# that have to be led into one.
AT_THE_PORT = frozenset({'flat', 'vlan'})
OVERLAYS = frozenset({'geneve', 'vxlan'})
# agent_type of ironic-neutron-agent, and of OVN on a host that has VMs or
# routers.
NODE_AGENT = 'Baremetal Node'
CHASSIS_AGENTS = frozenset(
    {'OVN Controller agent', 'OVN Controller Gateway agent'}
)


@dataclasses.dataclass(frozen=True)
class Nic:
    """A port of a node, as Ironic has it.

    :ivar address: MAC address, lower case.
    :ivar uuid: of the port in Ironic.
    :ivar node: name or UUID of its node.
    :ivar switch: `switch_info` of local_link_connection, else its
        `switch_id`; empty: it says neither.
    :ivar switch_id: MAC address of the switch; may be empty.
    :ivar port_id: of the switch's port; may be empty.
    :ivar physical_network: empty: the port says none.
    :ivar boots: whether the server may boot by it (pxe_enabled).
    """

    address: str
    uuid: str
    node: str
    switch: str = ''
    switch_id: str = ''
    port_id: str = ''
    physical_network: str = ''
    boots: bool = True

    @property
    def wired(self) -> bool:
        """Whether it is said where the cable ends."""
        return bool(self.switch and self.port_id)

    @property
    def place(self) -> str:
        """The end of the cable, for a person."""
        return f'port {self.port_id} of switch {self.switch}'

    def is_at_switch_of(self, other: 'Nic') -> bool:
        """Whether both cables end at one switch, whatever it is called."""
        if self.switch_id and other.switch_id:
            return self.switch_id.lower() == other.switch_id.lower()
        return bool(self.switch) and self.switch == other.switch

    def is_at_place_of(self, other: 'Nic') -> bool:
        """Whether both cables are said to end at one port of a switch."""
        return (
            self.wired
            and self.port_id == other.port_id
            and self.is_at_switch_of(other)
        )


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of a network.

    :ivar kind: `flat`, `vlan`, `geneve`, `vxlan`.
    :ivar physical_network: empty for an overlay.
    :ivar number: VLAN or VNI; None for a flat network.
    """

    kind: str
    physical_network: str = ''
    number: int | None = None


class Purpose(enum.StrEnum):
    """What a server is in a network for."""

    CLEANING = 'cleaning'
    INSPECTION = 'inspection'
    PROVISIONING = 'provisioning'
    RESCUING = 'rescuing'
    SERVICING = 'servicing'
    TENANT = 'tenant'


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, as Neutron has it.

    :ivar mtu: bytes; None: Neutron does not say.
    :ivar leases: whether Neutron's own DHCP serves a subnet of it.
    :ivar subnets: how many it has.
    :ivar tells_all: whether `segments` has those that were made for servers
        alone.
    """

    id: str
    name: str
    segments: tuple[Segment, ...] = ()
    mtu: int | None = None
    leases: bool = False
    subnets: int = 0
    tells_all: bool = True

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(segment.kind for segment in self.segments)

    @property
    def physical_networks(self) -> frozenset[str]:
        return frozenset(
            segment.physical_network
            for segment in self.segments
            if segment.physical_network
        )

    @property
    def is_overlay(self) -> bool:
        """Whether a switch port gets into it by a VLAN made for that alone."""
        return bool(self.segments) and self.segments[0].kind in OVERLAYS

    def vlan_on(self, physical_network: str) -> int | None:
        """Return the VLAN that a port there has to be in; None: not known."""
        for segment in self.segments:
            if segment.kind == 'vlan' and physical_network in (
                '',
                segment.physical_network,
            ):
                return segment.number
        return None


@dataclasses.dataclass(frozen=True)
class Bond:
    """A portgroup of a server.

    :ivar name: or its UUID.
    :ivar vif: id of the port of Neutron that it has; empty: none.
    :ivar address: its MAC address; empty: it says none.
    :ivar mode: as 802.3ad or active-backup.
    :ivar members: MAC addresses of its ports.
    :ivar properties: options of the Linux driver, as miimon.
    """

    name: str
    vif: str
    address: str
    mode: str
    members: tuple[str, ...]
    properties: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Address:
    """One address of a port, with what its subnet says.

    :ivar prefix: length of the network's prefix, in bits.
    :ivar routes: destination in CIDR notation and next hop of each.
    """

    address: str
    prefix: int
    subnet: str
    routes: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Subport:
    """A subport of a trunk.

    :ivar parent: id of Neutron's port that the trunk is of.
    :ivar vif: id of the subport.
    :ivar number: the VLAN.
    :ivar mac: MAC address that Neutron gave it.
    :ivar network: that it is in.
    :ivar vnic_type: what Neutron takes it for, as `baremetal`.
    """

    parent: str
    vif: str
    number: int
    mac: str
    network: Network
    addresses: tuple[Address, ...] = ()
    vnic_type: str = 'baremetal'


@dataclasses.dataclass(frozen=True)
class Agent:
    """A process of Neutron on a host.

    :ivar kind: `agent_type`, as `Baremetal Node`.
    :ivar mappings: physical networks that its host reaches.
    """

    kind: str
    host: str
    alive: bool
    mappings: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class VlanRange:
    """VLANs that Neutron may give away on a physical network."""

    physical_network: str
    first: int
    last: int
