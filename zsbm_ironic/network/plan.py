# SPDX-License-Identifier: Apache-2.0
"""Holds settings against each other: will this server reach these networks?

Called before anything is touched, by `checked` and by the CLI. Pure: reads
what `neutron` and Ironic's ports said. A setting is wrong when a deploy would
fail by it, or would work by chance.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zsbm_ironic.network import wiring
from zsbm_ironic.network.finding import Finding, Means, State

# As Neutron calls a port that no host has.
BAREMETAL = 'baremetal'
# Networks that a server boots its ramdisk in.
RAMDISK = frozenset(wiring.Purpose) - {wiring.Purpose.TENANT}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A network that a node is to be in.

    :ivar asked: what it was looked up by; empty: nobody says which it is.
    :ivar network: None: it is not there, or more than one has its name.
    :ivar cables: MAC addresses of the ports that it is given to; empty: none
        was chosen yet.
    """

    purpose: wiring.Purpose
    asked: str
    network: wiring.Network | None
    cables: frozenset[str] = frozenset()

    def ports(self, nics: Sequence[wiring.Nic]) -> list[wiring.Nic]:
        """Return the ports of a node that enter it.

        A ramdisk's network is entered by each that boots. Among those that a
        user's network may be given to upstream takes one whose physical
        network has it, and rather one that boots.

        :returns: empty: none fits.
        """
        if self.cables:
            return [nic for nic in nics if nic.address in self.cables]
        if self.purpose in RAMDISK or self.network is None:
            return _booting(nics)
        wanted = self.network.physical_networks
        named = [nic for nic in nics if nic.physical_network in wanted]
        if named or not wanted:
            return _booting(named or nics)
        return _booting(nic for nic in nics if not nic.physical_network)


@dataclasses.dataclass(frozen=True)
class Situation:
    """All that is held against each other.

    :ivar node: name or UUID.
    :ivar nics: ports of the node.
    :ivar others: ports of other nodes.
    :ivar bonds: portgroups of the node.
    :ivar subports: of trunks that its ports of Neutron are parents of.
    :ivar agents: of the node, and of hosts.
    :ivar ranges: None: Neutron does not tell.
    :ivar chassis_of: hosts that have ports of a network, by its id.
    :ivar ports_come: it has none, and gets some when it is provided.
    :ivar needs_link: whether each port has to say where its cable ends.
    :ivar we_lease: whether our own DHCP serves the ramdisk's networks.
    """

    node: str
    nics: tuple[wiring.Nic, ...]
    entries: tuple[Entry, ...]
    others: tuple[wiring.Nic, ...] = ()
    bonds: tuple[wiring.Bond, ...] = ()
    subports: tuple[wiring.Subport, ...] = ()
    agents: tuple[wiring.Agent, ...] = ()
    ranges: tuple[wiring.VlanRange, ...] | None = None
    chassis_of: Mapping[str, frozenset[str]] = dataclasses.field(
        default_factory=dict
    )
    ports_come: bool = False
    needs_link: bool = True
    we_lease: bool = True


def judge(situation: Situation) -> list[Finding]:
    """Return what was looked at, ports first."""
    return [
        *judge_ports(situation),
        *_agents(situation),
        *(
            one
            for entry in situation.entries
            for one in _network(situation, entry)
        ),
        *_trunks(situation),
    ]


def judge_ports(situation: Situation) -> list[Finding]:
    """Return what can be said of cables, whoever makes the networks."""
    return [
        *_ports(situation),
        *_links(situation),
        *_shared_places(situation),
        *_bonds(situation),
    ]


def _ports(situation: Situation) -> Iterator[Finding]:
    if any(nic.boots for nic in situation.nics):
        yield _ok('boot-port', situation.node, 'has a port that it boots by')
        return
    if situation.ports_come:
        yield _ok(
            'boot-port',
            situation.node,
            'gets the ports that its BMC tells of when it is provided',
        )
        return
    what = 'no port of it has pxe_enabled' if situation.nics else 'has no port'
    yield _wrong(
        'boot-port',
        situation.node,
        what,
        f'openstack baremetal port create --node {situation.node} '
        'MAC-ADDRESS, or port set --pxe-enabled.',
    )


def _links(situation: Situation) -> Iterator[Finding]:
    for nic in situation.nics:
        if nic.wired:
            yield _ok('link-information', nic.address, f'at {nic.place}')
            continue
        missing = ' and '.join(
            key
            for key, value in (
                ('switch_info', nic.switch),
                ('port_id', nic.port_id),
            )
            if not value
        )
        yield Finding(
            'link-information',
            State.WRONG if situation.needs_link else State.UNKNOWN,
            Means.PLAN,
            nic.address,
            f'local_link_connection has no {missing}, so no switch is '
            'configured for it',
            f'openstack baremetal port set {nic.uuid} '
            '--local-link-connection switch_info=SWITCH '
            '--local-link-connection port_id=PORT'
            + ('.' if situation.needs_link else ', or wire it by hand.'),
        )


def _booting(nics: Iterable[wiring.Nic]) -> list[wiring.Nic]:
    """Return those that boot; all where none does."""
    found = list(nics)
    return [nic for nic in found if nic.boots] or found


def _shared_places(situation: Situation) -> Iterator[Finding]:
    for nic in situation.nics:
        for other in (*situation.nics, *situation.others):
            if other.uuid == nic.uuid or not nic.is_at_place_of(other):
                continue
            yield _wrong(
                'port-of-another-node',
                nic.address,
                f'{nic.place} is also said to be that of {other.address}, '
                f'node {other.node}',
                'Correct local_link_connection of whichever is wrong: '
                f'openstack baremetal port show {other.uuid}.',
            )


def _bonds(situation: Situation) -> Iterator[Finding]:
    for bond in situation.bonds:
        nics = [nic for nic in situation.nics if nic.address in bond.members]
        networks = {nic.physical_network for nic in nics}
        switches = {nic.switch for nic in nics if nic.switch}
        if len(networks) > 1:
            yield _wrong(
                'bond',
                bond.name,
                'its ports are on different physical networks: '
                + ', '.join(sorted(name or 'none' for name in networks)),
                _set_physical(nics[0], 'NAME'),
            )
        elif len(nics) < 2:
            yield Finding(
                'bond',
                State.UNKNOWN,
                Means.PLAN,
                bond.name,
                f'this portgroup has {len(nics)} ports',
                'openstack baremetal port set --port-group '
                f'{bond.name} PORT, for each of its cables.',
            )
        elif bond.mode == '802.3ad' and len(switches) > 1:
            yield Finding(
                'bond',
                State.UNKNOWN,
                Means.PLAN,
                bond.name,
                f'LACP with {len(switches)} switches: '
                + ', '.join(sorted(switches)),
                'They have to be one for it (MLAG, stacking); where they are '
                'not: openstack baremetal port group set --mode '
                f'active-backup {bond.name}.',
            )
        else:
            yield _ok('bond', bond.name, f'{bond.mode} of {len(nics)} ports')


def _trunks(situation: Situation) -> Iterator[Finding]:
    parents = {entry.asked: entry for entry in situation.entries}
    for one in situation.subports:
        entry = parents.get(one.parent)
        nics = entry.ports(situation.nics) if entry else situation.nics
        physical = {nic.physical_network for nic in nics}
        wanted = next(
            filter(None, map(one.network.vlan_on, sorted(physical))), None
        )
        if wanted is None:
            yield _wrong(
                'trunk-vlan',
                one.network.name,
                f'is VLAN {one.number} of a trunk, and has no VLAN at the '
                f'switch: it is {_described(one.network)}',
                'Take a network of type vlan for the subport.',
            )
        elif wanted != one.number:
            yield _wrong(
                'trunk-vlan',
                one.network.name,
                f'is VLAN {one.number} of a trunk, and VLAN {wanted} at the '
                'switch, which does not translate',
                'openstack network trunk set TRUNK --subport '
                f'port={one.vif},segmentation-type=inherit, once it is unset.',
            )
        elif one.vnic_type != BAREMETAL:
            yield Finding(
                'trunk-port',
                State.UNKNOWN,
                Means.PLAN,
                one.network.name,
                f'port {one.vif} of a trunk has vnic_type {one.vnic_type}: '
                'OVN looks for it on a host, and no VM reaches it',
                f'openstack port set --vnic-type {BAREMETAL} {one.vif}.',
            )
        else:
            yield _ok(
                'trunk-vlan', one.network.name, f'VLAN {one.number} of a trunk'
            )


def _agents(situation: Situation) -> Iterator[Finding]:
    own = [one for one in situation.agents if one.kind == wiring.NODE_AGENT]
    dead = [one for one in own if not one.alive]
    if dead:
        yield _wrong(
            'node-agent',
            situation.node,
            'ironic-neutron-agent reported it once and is silent now',
            'Start ironic-neutron-agent again; its log says why it ended.',
        )
    elif own:
        yield _ok('node-agent', situation.node, 'ironic-neutron-agent alive')
    elif any(
        entry.network and entry.network.kinds & wiring.AT_THE_PORT
        for entry in situation.entries
    ):
        yield Finding(
            'node-agent',
            State.UNKNOWN,
            Means.PLAN,
            situation.node,
            'no ironic-neutron-agent reports it: mechanism driver baremetal '
            'binds nothing for it, networking-generic-switch may',
            'Run ironic-neutron-agent where mechanism driver baremetal is '
            'to bind.',
        )


def _network(situation: Situation, entry: Entry) -> Iterator[Finding]:
    network = entry.network
    if not entry.asked:
        yield _wrong(
            'network',
            f'{entry.purpose}_network',
            'is not set',
            f'Set [neutron]{entry.purpose}_network in ironic.conf, or '
            f'driver_info {entry.purpose}_network of the node.',
        )
        return
    if network is None:
        yield _wrong(
            'network',
            entry.asked,
            'there is no such network, or more than one of that name',
            f'Name one as the {entry.purpose} network by its id: '
            'openstack network list.',
        )
        return
    if not network.segments:
        yield _wrong(
            'segment',
            network.name,
            'the network has no segment, so a port in it is never bound',
            f'openstack network segment create --network {network.id} '
            '--network-type TYPE NAME. Where mechanism driver '
            'baremetal-l2vni is loaded, it releases the segment of a VLAN '
            'network when the last server leaves.',
        )
        return
    yield _ok(
        'network', network.name, f'{entry.purpose}, {_described(network)}'
    )
    yield from _physical(situation, entry, network)
    yield from _vlans(situation, network)
    if network.is_overlay:
        yield from _chassis(situation, entry, network)
    if entry.purpose in RAMDISK:
        yield from _leases(situation, network)


def _physical(
    situation: Situation, entry: Entry, network: wiring.Network
) -> Iterator[Finding]:
    wanted = network.physical_networks
    for nic in entry.ports(situation.nics) or _booting(situation.nics):
        if network.is_overlay and not nic.physical_network:
            yield Finding(
                'physical-network',
                State.UNKNOWN,
                Means.PLAN,
                nic.address,
                f'says no physical network, and {network.name} is an '
                'overlay: bound only where Neutron has '
                '[baremetal_l2vni]default_physical_network',
                _set_physical(nic, 'NAME'),
            )
        elif wanted and nic.physical_network not in {'', *wanted}:
            yield _wrong(
                'physical-network',
                nic.address,
                f'is on {nic.physical_network}, but {network.name} is on '
                f'{", ".join(sorted(wanted))}',
                _set_physical(nic, sorted(wanted)[0])
                + ' Or choose a network of its own.',
            )


def _set_physical(nic: wiring.Nic, name: str) -> str:
    return (
        f'openstack baremetal port set {nic.uuid} --physical-network {name}.'
    )


def _vlans(situation: Situation, network: wiring.Network) -> Iterator[Finding]:
    for segment in network.segments:
        if segment.kind != 'vlan' or segment.number is None:
            continue
        if segment.number not in wiring.VLANS:
            yield _wrong(
                'vlan-range',
                network.name,
                f'VLAN {segment.number} is none',
                'Make the network again with a VLAN of 1 to 4094.',
            )
        elif situation.ranges is not None and not any(
            one.physical_network == segment.physical_network
            and one.first <= segment.number <= one.last
            for one in situation.ranges
        ):
            yield Finding(
                'vlan-range',
                State.UNKNOWN,
                Means.PLAN,
                network.name,
                f'VLAN {segment.number} is outside the ranges that Neutron '
                f'has for {segment.physical_network}: '
                f'{_ranges(situation.ranges, segment.physical_network)}',
                'That is usual for a network of the operator; see that the '
                'switches carry it.',
            )


def _ranges(ranges: Iterable[wiring.VlanRange], physical: str) -> str:
    return (
        ', '.join(
            f'{one.first} to {one.last}'
            for one in ranges
            if one.physical_network == physical
        )
        or 'none'
    )


def _chassis(
    situation: Situation, entry: Entry, network: wiring.Network
) -> Iterator[Finding]:
    """Tell hosts that would lose an overlay once a server is in it.

    With the first server OVN leads the whole network over a VLAN of the
    physical network; a host that has no bridge to that one is cut off.
    """
    hosts = [
        agent
        for agent in situation.agents
        if agent.kind in wiring.CHASSIS_AGENTS
    ]
    wanted = {
        nic.physical_network
        for nic in entry.ports(situation.nics)
        if nic.physical_network
    }
    if hosts and not wanted:
        yield Finding(
            'chassis-mapping',
            State.UNKNOWN,
            Means.PLAN,
            network.name,
            'no port that enters it says a physical network, so nobody knows '
            'which bridge a host needs',
            'openstack baremetal port set PORT --physical-network NAME.',
        )
        return
    inside = situation.chassis_of.get(network.id, frozenset())
    for agent in hosts:
        missing = sorted(wanted - agent.mappings)
        if not missing:
            yield _ok(
                'chassis-mapping',
                agent.host,
                f'has a bridge to {network.name}',
            )
            continue
        uses = agent.host in inside
        yield Finding(
            'chassis-mapping',
            State.WRONG if uses else State.UNKNOWN,
            Means.PLAN,
            agent.host,
            f'has no bridge to {", ".join(missing)}; with a server in '
            f'{network.name} its traffic goes over that physical network, '
            + (
                'and this host, which has ports of the network, is cut off'
                if uses
                else 'and a VM that is started on this host is cut off'
            ),
            'There: ovs-vsctl set open . external-ids:ovn-bridge-mappings='
            f'{missing[0]}:BRIDGE, with BRIDGE on a NIC of that network.',
        )


def _leases(
    situation: Situation, network: wiring.Network
) -> Iterator[Finding]:
    if not network.subnets:
        yield _wrong(
            'addresses',
            network.name,
            'the network has no subnet, so a server gets no address in it',
            f'openstack subnet create --network {network.id} --subnet-range '
            'RANGE NAME.',
        )
    elif situation.we_lease and network.leases:
        yield _wrong(
            'dhcp-owner',
            network.name,
            "Neutron's DHCP and zsbm-netboot both serve it",
            'openstack subnet set --no-dhcp SUBNET, or set '
            '[dhcp]dhcp_provider=neutron.',
        )
    elif not situation.we_lease and not network.leases:
        yield _wrong(
            'dhcp-owner',
            network.name,
            'no DHCP serves it: [dhcp]dhcp_provider is not zsbm, and its '
            'subnets have none of Neutron',
            'openstack subnet set --dhcp SUBNET, or set '
            '[dhcp]dhcp_provider=zsbm.',
        )


def _described(network: wiring.Network) -> str:
    return ' and '.join(
        ' '.join(
            str(word)
            for word in (
                segment.kind,
                segment.number,
                segment.physical_network and f'on {segment.physical_network}',
            )
            if word
        )
        for segment in network.segments
    )


def _ok(check: str, about: str, detail: str) -> Finding:
    return Finding(check, State.OK, Means.PLAN, about, detail)


def _wrong(check: str, about: str, detail: str, remedy: str) -> Finding:
    return Finding(check, State.WRONG, Means.PLAN, about, detail, remedy)
