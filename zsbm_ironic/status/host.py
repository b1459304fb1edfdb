# SPDX-License-Identifier: Apache-2.0
"""Facts of this host that settings are guessed from and checked against."""

import dataclasses
import ipaddress
import json
import shutil

from zsbm_ironic.common import process
from zsbm_ironic.status import exception as status_exception


@dataclasses.dataclass(frozen=True)
class Address:
    """One IPv4 address of one network interface of this host."""

    interface: str
    address: ipaddress.IPv4Interface

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The subnet that the address is in."""
        return self.address.network


def addresses() -> list[Address]:
    """Return every IPv4 address of this host but those of loopback.

    :raises ProcessFailed: there is no `ip` program.
    """
    done = process.run(['ip', '-j', '-4', 'address', 'show'], timeout_s=10)
    found = []
    for link in json.loads(done.stdout or '[]'):
        for info in link.get('addr_info', []):
            text = f'{info["local"]}/{info["prefixlen"]}'
            address = ipaddress.IPv4Interface(text)
            if not address.is_loopback:
                found.append(Address(link['ifname'], address))
    return found


def default_interface() -> str | None:
    """Return the interface of the default route, or None without one."""
    done = process.run(
        ['ip', '-j', '-4', 'route', 'show', 'default'], timeout_s=10
    )
    routes = json.loads(done.stdout or '[]')
    return str(routes[0]['dev']) if routes else None


def provisioning_address(
    interface: str | None, known: str | None
) -> tuple[Address, str]:
    """Choose the address on the provisioning network, and say how.

    :param interface: what the person asked for.
    :param known: address that ironic.conf names already (my_ip).
    :raises StatusHostUnsuitable: no address to choose from.
    """
    found = addresses()
    if interface:
        some = [one for one in found if one.interface == interface]
        why = 'as asked for'
    else:
        some = [one for one in found if str(one.address.ip) == known]
        why = 'it has my_ip of ironic.conf'
        if not some:
            default = default_interface()
            some = [one for one in found if one.interface == default] or found
            why = 'guessed: the first that fits; --interface chooses another'
    if not some:
        raise status_exception.StatusHostUnsuitable(
            what=f'no IPv4 address on {interface or "any interface"}'
        )
    return some[0], why


def future_address(interface: str | None, text: str) -> Address:
    """Return the address that an interface is to have.

    :param interface: its name; nothing is looked up.
    :param text: an IPv4 address with its prefix length.
    :raises StatusHostUnsuitable: no interface is named, or `text` is none.
    """
    if not interface:
        raise status_exception.StatusHostUnsuitable(
            what=f'no interface is named that will have {text}'
        )
    try:
        if '/' not in text:
            raise ValueError('it has no prefix length')
        return Address(interface, ipaddress.IPv4Interface(text))
    except ValueError as exc:
        raise status_exception.StatusHostUnsuitable(
            what=f'{text!r} is no IPv4 address such as 10.0.5.1/24 ({exc})'
        ) from exc


def has_program(name: str) -> bool:
    """Say whether a program is on PATH or where a daemon would find it."""
    return (
        shutil.which(name, path='/usr/sbin:/usr/bin:/sbin:/bin') is not (None)
        or shutil.which(name) is not None
    )


def lacking_ipmitool() -> bool:
    """Say whether upstream's IPMI types cannot load on this host."""
    return not has_program('ipmitool')
