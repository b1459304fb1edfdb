# SPDX-License-Identifier: Apache-2.0
"""Completes what an OS is told of its network: network_data.json.

Nova knows the ports of Neutron that a server was given, and Ironic writes the
file anew where Nova left the MTU out; in between is lost how the links of a
bond share the work (without a word Linux takes balance-rr), and nobody ever
tells of the VLANs of a trunk. Pure; the format is that of Nova:
doc/api_schemas/network_data.json in its repository.
"""

import copy
import ipaddress
from collections.abc import Iterable
from typing import Any

from zsbm_ironic.network import wiring

Data = dict[str, Any]


def complete(
    data: Data,
    bonds: Iterable[wiring.Bond] = (),
    subports: Iterable[wiring.Subport] = (),
) -> Data:
    """Return the file with what is missing; what is there stays.

    One that is in another format, as a person may have written it, stays as
    it is.

    :param data: network_data.json, read.
    """
    if not _is_known(data):
        return data
    made = copy.deepcopy(data)
    links = made.setdefault('links', [])
    networks = made.setdefault('networks', [])
    for bond in bonds:
        for link in [one for one in links if one.get('vif_id') == bond.vif]:
            _complete_bond(links, link, bond)
    for subport in subports:
        parent = next(
            (one for one in links if one.get('vif_id') == subport.parent), None
        )
        there = any(one.get('vif_id') == subport.vif for one in links)
        if parent is None or there:
            continue
        link = f'{parent["id"]}.{subport.number}'
        links.append(
            {
                'id': link,
                'type': 'vlan',
                'vif_id': subport.vif,
                'vlan_id': subport.number,
                'vlan_link': parent['id'],
                'vlan_mac_address': subport.mac,
                'ethernet_mac_address': subport.mac,
                'mtu': subport.network.mtu or parent.get('mtu'),
            }
        )
        networks += [_network(subport, link, one) for one in subport.addresses]
    return made


def _is_known(data: Data) -> bool:
    links = data.get('links', [])
    return (
        isinstance(links, list)
        and isinstance(data.get('networks', []), list)
        and all(
            isinstance(one, dict) and isinstance(one.get('id'), str)
            for one in links
        )
    )


def _complete_bond(links: list[Data], link: Data, bond: wiring.Bond) -> None:
    link['type'] = 'bond'
    link['bond_mode'] = bond.mode
    if bond.address:
        link['ethernet_mac_address'] = bond.address
    for name, value in bond.properties.items():
        link[name if name.startswith('bond') else f'bond_{name}'] = value
    by_mac = {
        str(one.get('ethernet_mac_address')).lower(): one
        for one in links
        if one.get('type') == 'phy'
    }
    members = []
    for mac in bond.members:
        member = by_mac.get(mac)
        if member is None:
            member = {
                'id': f'phy-{mac.replace(":", "")}',
                'type': 'phy',
                'ethernet_mac_address': mac,
            }
            links.append(member)
        # Ironic takes a link without one for a broken file, and writes it
        # anew.
        if member.get('mtu') is None:
            member['mtu'] = link.get('mtu')
        members.append(member['id'])
    link['bond_links'] = members


def _network(
    subport: wiring.Subport, link: str, address: wiring.Address
) -> Data:
    """Return the address of a VLAN, without a way to the world.

    That is the parent's: an OS with two of them takes either.
    """
    version = ipaddress.ip_address(address.address).version
    return {
        'id': address.subnet,
        'network_id': subport.network.id,
        'type': f'ipv{version}',
        'link': link,
        'ip_address': address.address,
        'netmask': _netmask(version, address.prefix),
        'routes': [
            {
                'network': str(wanted.network_address),
                'netmask': _netmask(wanted.version, wanted.prefixlen),
                'gateway': gateway,
            }
            for wanted, gateway in (
                (ipaddress.ip_network(destination), gateway)
                for destination, gateway in address.routes
            )
        ],
    }


def _netmask(version: int, prefix: int) -> str:
    if version == 6:
        return str(ipaddress.IPv6Network((0, prefix)).netmask)
    return str(ipaddress.IPv4Network((0, prefix)).netmask)
