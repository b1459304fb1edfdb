# SPDX-License-Identifier: Apache-2.0
"""Subnets in which machines are served, and which address each MAC gets.

Called by the conductor, which assigns addresses, and by the service, which
tells dnsmasq about the subnets. An address is chosen by a hash of the MAC, so
that a port which is deleted and made again mostly gets the one it had; what
counts is the record that the choice is written to.
"""

import dataclasses
import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Mapping

from zsbm_ironic.common import exception

KEYS = frozenset(
    ('cidr', 'range', 'gateway', 'dns', 'relayed', 'physical_network')
)


@dataclasses.dataclass(frozen=True)
class Subnet:
    """One line of option [zsbm_netboot]subnets.

    :ivar first: first address that the conductor may assign; None where
        somebody else (Neutron) assigns them all.
    :ivar relayed: requests come through a DHCP relay.
    :ivar physical_network: restricts assignment to such ports.
    """

    cidr: ipaddress.IPv4Network
    first: ipaddress.IPv4Address | None = None
    last: ipaddress.IPv4Address | None = None
    gateway: ipaddress.IPv4Address | None = None
    dns: tuple[ipaddress.IPv4Address, ...] = ()
    relayed: bool = False
    physical_network: str | None = None

    @property
    def size(self) -> int:
        """How many addresses the conductor may assign."""
        if self.first is None or self.last is None:
            return 0
        return int(self.last) - int(self.first) + 1

    def serves(self, physical_network: str | None) -> bool:
        """Whether a port of this physical network is served here."""
        return self.physical_network in (None, physical_network)


def parse(lines: Iterable[Mapping[str, str]]) -> tuple[Subnet, ...]:
    """Read option [zsbm_netboot]subnets.

    :raises NetbootSettingInvalid: a line that cannot be used, with the
        reason.
    """
    subnets = tuple(_parse_one(line) for line in lines)
    for index, one in enumerate(subnets):
        for other in subnets[:index]:
            if one.cidr.overlaps(other.cidr):
                raise _invalid(f'{one.cidr} overlaps {other.cidr}.')
    return subnets


def assign(
    mac: str, subnet: Subnet, taken: Collection[ipaddress.IPv4Address]
) -> ipaddress.IPv4Address:
    """Choose an address of the subnet's range for a MAC.

    :param taken: addresses that others have, the gateway and the server
        included.
    :raises NetbootRangeUsedUp: none is left.
    """
    if subnet.first is not None:
        digest = hashlib.sha256(mac.encode()).digest()
        start = int.from_bytes(digest[:8], 'big') % subnet.size
        for step in range(subnet.size):
            address = subnet.first + (start + step) % subnet.size
            if address not in taken and address != subnet.gateway:
                return address
    raise exception.NetbootRangeUsedUp(
        mac=mac,
        cidr=subnet.cidr,
        size=subnet.size,
        range=f'{subnet.first}-{subnet.last}',
    )


def _invalid(problem: str) -> exception.NetbootSettingInvalid:
    return exception.NetbootSettingInvalid(option='subnets', problem=problem)


def _parse_one(line: Mapping[str, str]) -> Subnet:
    unknown = sorted(set(line) - KEYS)
    if unknown:
        raise _invalid(f'{unknown[0]!r} is not one of {sorted(KEYS)}.')
    if 'cidr' not in line:
        raise _invalid(f'no cidr in {dict(line)}.')
    relayed = line.get('relayed', 'false').lower()
    if relayed not in ('true', 'false'):
        raise _invalid(f'relayed is true or false, not {relayed!r}.')
    try:
        cidr = ipaddress.IPv4Network(line['cidr'])
        first, last = _parse_range(line.get('range'))
        gateway = line.get('gateway')
        subnet = Subnet(
            cidr=cidr,
            first=first,
            last=last,
            gateway=ipaddress.IPv4Address(gateway) if gateway else None,
            dns=tuple(
                ipaddress.IPv4Address(address)
                for address in line.get('dns', '').split(';')
                if address
            ),
            relayed=relayed == 'true',
            physical_network=line.get('physical_network'),
        )
    except ValueError as exc:
        raise _invalid(f'{exc}.') from exc
    _check_inside(subnet)
    return subnet


def _parse_range(
    text: str | None,
) -> tuple[ipaddress.IPv4Address | None, ipaddress.IPv4Address | None]:
    if not text:
        return None, None
    first, dash, last = text.partition('-')
    if not dash:
        raise _invalid(f'range is FIRST-LAST, not {text!r}.')
    return ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)


def _check_inside(subnet: Subnet) -> None:
    for address in (subnet.first, subnet.last, subnet.gateway):
        if address is not None and address not in subnet.cidr:
            raise _invalid(f'{address} is not inside {subnet.cidr}.')
    if subnet.first is None or subnet.last is None:
        return
    if subnet.first > subnet.last:
        raise _invalid(
            f'range {subnet.first}-{subnet.last} ends before it begins.'
        )
    edges = (subnet.cidr.network_address, subnet.cidr.broadcast_address)
    if subnet.first in edges or subnet.last in edges:
        raise _invalid(
            f'range {subnet.first}-{subnet.last} holds the network or the '
            f'broadcast address of {subnet.cidr}.'
        )
