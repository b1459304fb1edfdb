# SPDX-License-Identifier: Apache-2.0
"""Makes desired state follow the nodes and ports of a conductor.

Called by the conductor, periodically and at start. Ironic tells a provider
what to serve but often not what to stop serving: not after inspection or
cleaning, not when a port is deleted, not when a node moves to another
conductor. So all records are compared with all ports now and then.
"""

import dataclasses
import ipaddress
import logging
from collections.abc import Collection, Iterable, Mapping

from zsbm_ironic.common import exception
from zsbm_ironic.netboot import desired, subnets

LOG = logging.getLogger(__name__)

# What was written so shortly before the facts were read may be newer than
# they are.
MARGIN_S = 3.0


@dataclasses.dataclass(frozen=True)
class PortFacts:
    """What ironic knows of a port that a machine may boot from.

    :ivar addresses: assigned from our ranges; empty with a VIF.
    :ivar vif: Neutron port that it is bound to now.
    :ivar may_boot: whether the node's state has it boot from the network.
    """

    mac: str
    node: str
    port: str
    addresses: tuple[str, ...] = ()
    vif: str | None = None
    client_id: str | None = None
    may_boot: bool = False


def choose_addresses(
    mac: str,
    physical_network: str | None,
    current: Iterable[str],
    lines: Iterable[subnets.Subnet],
    taken: Collection[ipaddress.IPv4Address],
) -> tuple[str, ...]:
    """Return one address of each subnet that serves a port.

    :param current: what the port has; kept as long as it lies in the subnet,
        so that a node may move between servers whose ranges differ.
    :param taken: what other ports and this host have.
    :raises NetbootRangeUsedUp: a subnet has none left.
    """
    have = [ipaddress.IPv4Address(address) for address in current]
    chosen = []
    for subnet in lines:
        if subnet.first is None or subnet.last is None:
            continue
        if not subnet.serves(physical_network):
            continue
        kept = [
            address
            for address in have
            if address in subnet.cidr and address not in taken
        ]
        chosen.append(kept[0] if kept else subnets.assign(mac, subnet, taken))
    return tuple(str(address) for address in chosen)


def record_of(
    facts: PortFacts, previous: desired.Record | None
) -> desired.Record | None:
    """Return what a port is to be served, None for nothing.

    What it boots is kept from the record before, if that was of the same
    node and the node's state has it boot at all: only a boot interface adds
    it.
    """
    if previous is not None and previous.node != facts.node:
        previous = None
    if facts.vif is not None:
        # Only the provider, when it is told to, asks Neutron for the address.
        if previous is None or previous.vif != facts.vif:
            return None
        base = dataclasses.replace(previous, port=facts.port)
    elif facts.addresses:
        base = desired.Record(
            mac=facts.mac,
            node=facts.node,
            port=facts.port,
            addresses=facts.addresses,
            client_id=facts.client_id,
        )
    else:
        return None
    if previous is None or not facts.may_boot:
        return base.without_boot()
    return dataclasses.replace(
        base, script=previous.script, options=previous.options
    )


class Reconciler:
    """Compares records with facts, again and again.

    A record without a port of ours goes at the second look: between two
    looks ironic's hash ring may be in motion, and serving a moment too long
    is better than cutting off a machine that boots.
    """

    def __init__(self, state: desired.DesiredState) -> None:
        self._state = state
        self._missing: set[str] = set()
        self._complaints: dict[str, str] = {}

    def reconcile(
        self, ports: Mapping[str, PortFacts], read_at: float
    ) -> list[str]:
        """Make the records follow the ports.

        :param ports: facts by MAC, of all nodes of this conductor.
        :param read_at: when the facts were read, in seconds since the epoch.
        :returns: MACs whose record was written or removed.
        """
        records, rejected = self._state.load()
        changed = []
        for mac, facts in ports.items():
            previous = records.get(mac)
            if previous and previous.updated > read_at - MARGIN_S:
                continue
            if self._follow(facts, previous, mac in rejected):
                changed.append(mac)
        missing = set()
        for mac in (set(records) | set(rejected)) - set(ports):
            record = records.get(mac)
            if record and record.updated > read_at - MARGIN_S:
                continue
            if mac in self._missing:
                LOG.info('%s is not served any more: no port has it.', mac)
                self._state.remove(mac)
                changed.append(mac)
            else:
                missing.add(mac)
        self._missing = missing
        return changed

    def _follow(
        self,
        facts: PortFacts,
        previous: desired.Record | None,
        rejected: bool,
    ) -> bool:
        wanted = record_of(facts, previous)
        if wanted is None:
            if previous is None and not rejected:
                return False
            self._state.remove(facts.mac)
            return True
        if wanted.same_as(previous):
            return False
        try:
            self._state.write(wanted)
        except exception.DesiredRecordInvalid as exc:
            self._complain(facts, str(exc))
            if previous is None or previous.node == facts.node:
                return False
            # Not what the MAC's former node was served, at least.
            self._state.remove(facts.mac)
            return True
        self._complaints.pop(facts.mac, None)
        return True

    def _complain(self, facts: PortFacts, complaint: str) -> None:
        if self._complaints.get(facts.mac) != complaint:
            LOG.error('Node %s: %s', facts.node, complaint)
        self._complaints[facts.mac] = complaint
