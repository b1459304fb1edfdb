# SPDX-License-Identifier: Apache-2.0
"""Which systems Prometheus is to scrape, and at which address.

Filled by a periodic task of the conductor, read by the exporter. An address
that a person wrote, or that a network of a tenant gave, may be any: it counts
only in networks that the operator named, and never twice. Else a member could
have Prometheus ask anybody, or pass the figures of others for its own.
"""

import collections
import dataclasses
import ipaddress
import threading
from collections.abc import Iterable, Sequence
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclasses.dataclass(frozen=True)
class Claim:
    """An address that a server may be reached at.

    :ivar leased: given by us from the operator's own ranges.
    :ivar written: by a person, who may be mistaken or lie.
    """

    node_uuid: str
    address: str
    leased: bool = False
    written: bool = False


@dataclasses.dataclass(frozen=True)
class System:
    """The exporter in the system of one server.

    :ivar target: `ADDRESS:PORT`; empty: it pushes.
    """

    node_uuid: str
    node_name: str
    owner: str = ''
    lessee: str = ''
    rack: str = ''
    target: str = ''


class Directory:
    """The systems of one conductor; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._systems: tuple[System, ...] | None = None

    def replace(self, systems: Iterable[System]) -> None:
        """Take what is known now for all that there is."""
        made = tuple(systems)
        with self._lock:
            self._systems = made

    def look(self) -> tuple[System, ...] | None:
        """Return all of them; None: nobody has looked yet."""
        with self._lock:
            return self._systems


def settle(
    claims: Iterable[Claim], networks: Sequence[Network]
) -> tuple[dict[str, str], list[str]]:
    """Return the address of each node, and what is wrong with others.

    What a person wrote is taken before what is known otherwise, an address
    that is known otherwise stays with its server, one that two servers have
    is given to none.

    :param networks: in which Prometheus reaches systems.
    """
    told: list[str] = []
    usable: list[tuple[Claim, Address]] = []
    for claim in claims:
        address = _usable(claim, networks)
        if address is not None:
            usable.append((claim, address))
        elif claim.written:
            told.append(
                f'Node {claim.node_uuid}: address {claim.address[:64]!r} of '
                'its system is none in [zsbm_monitoring]os_networks. '
                'Correct it, or let the system push.'
            )
    holders: dict[Address, set[str]] = collections.defaultdict(set)
    for claim, address in usable:
        if not claim.written:
            holders[address].add(claim.node_uuid)
    writers: dict[Address, set[str]] = collections.defaultdict(set)
    for claim, address in usable:
        if claim.written and address not in holders:
            writers[address].add(claim.node_uuid)
    found: dict[str, Address] = {}
    for claim, address in sorted(usable, key=_rank):
        those = holders.get(address) or writers[address]
        if those == {claim.node_uuid}:
            found.setdefault(claim.node_uuid, address)
        else:
            told.append(
                f'Node {claim.node_uuid}: address {address} of its system is '
                f'that of {", ".join(sorted(those - {claim.node_uuid}))} '
                'too: it is not scraped there.'
            )
    return {node: str(address) for node, address in found.items()}, told


def _usable(claim: Claim, networks: Sequence[Network]) -> Address | None:
    try:
        address = ipaddress.ip_address(claim.address)
    except ValueError:
        return None
    if (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or getattr(address, 'ipv4_mapped', None)
        or getattr(address, 'scope_id', None)
    ):
        return None
    # This host is meant only where the operator named nothing else: a lab.
    named = any(
        address.version == one.version
        and address in one
        and address.is_loopback == one.is_loopback
        for one in networks
    )
    if address.is_loopback and not named:
        return None
    return address if named or claim.leased else None


def _rank(item: tuple[Claim, Address]) -> tuple[bool, int, int]:
    claim, address = item
    return not claim.written, address.version, int(address)


def http_sd(
    systems: Iterable[System], here: str, pushed: str
) -> list[dict[str, Any]]:
    """Return target groups as Prometheus reads them.

    :param here: `HOST:PORT` by which Prometheus reaches this conductor.
    :param pushed: path before the UUID of a node whose system pushes.
    """
    return [
        {
            'targets': [one.target or here],
            'labels': {
                **(
                    {}
                    if one.target
                    else {'__metrics_path__': f'{pushed}{one.node_uuid}'}
                ),
                'instance': one.target or one.node_uuid,
                'node_uuid': one.node_uuid,
                'node_name': one.node_name,
                'owner': one.owner,
                'project': one.lessee or one.owner,
                'rack': one.rack,
            },
        }
        for one in systems
    ]
