# SPDX-License-Identifier: Apache-2.0
"""Arista EOS, asked by `show ... | json` as an ordinary user may.

The switch prints what its API answers (eAPI, whose models each switch shows
at /explorer.html), so no table is read. Not shown on a real switch.
"""

import dataclasses
import functools
import json
from typing import Any

from zsbm_ironic.network.switches import base, session

_NO_SUCH = ('% Invalid input', '% Interface does not exist')


class Eos(session.LoggedIn):
    """A `base.Switch`."""

    NETMIKO = 'arista_eos'

    def port_state(self, port_id: str) -> base.PortState:
        """Ask for one port; see `base.Switch`."""
        wanted = base.port_name(port_id)
        link = self._session.ask(
            f'port {wanted}',
            f'show interfaces {wanted} | json',
            functools.partial(read_link, wanted),
        )
        if not link.exists:
            return link
        vlans = self._session.ask(
            f'port {wanted}',
            f'show interfaces {wanted} switchport | json',
            read_vlans,
        )
        if vlans is None:
            return link
        return dataclasses.replace(
            link,
            vlan=vlans.vlan,
            tagged=vlans.tagged,
            deaf_s=self._deaf_s(wanted),
        )

    def where_is(self, mac: str) -> tuple[base.Heard, ...]:
        """Ask where a MAC address was heard; see `base.Switch`."""
        wanted = base.mac_address(mac)
        return self._session.ask(
            f'MAC {wanted}',
            f'show mac address-table address {base.dotted(wanted)} | json',
            functools.partial(read_macs, wanted),
        )

    def same_port(self, one: str, other: str) -> bool:
        """`Et7` is `Ethernet7`."""
        return base.same_port(one, other)


def _answer(text: str) -> dict[str, Any]:
    """Return what the switch says, without its errors.

    :raises ValueError: it says no JSON, or an error.
    """
    if text.lstrip().startswith('%'):
        raise ValueError('an error of the switch')
    answer = json.loads(text)
    if answer.get('errors'):
        raise ValueError('an error of the switch')
    return dict(answer)


def read_link(port_id: str, text: str) -> base.PortState:
    """Read whether a port is there, shut down, linked, and its MTU.

    :raises ValueError: the answer is about no port.
    """
    if text.lstrip().startswith(_NO_SUCH):
        return base.PortState(port_id, exists=False)
    interfaces = _answer(text)['interfaces']
    if len(interfaces) != 1:
        raise ValueError('one interface was expected')
    (link,) = interfaces.values()
    return base.PortState(
        port_id,
        exists=True,
        up=link['lineProtocolStatus'] == 'up',
        admin_up=link['interfaceStatus'] != 'disabled',
        mtu=int(link['mtu']),
    )


def read_vlans(text: str) -> base.PortState | None:
    """Read the VLANs of a port; None: it is routed, and has none.

    :raises ValueError: the answer is about no port, or several.
    """
    ports = _answer(text)['switchports']
    if len(ports) > 1:
        raise ValueError('one port was expected')
    for port_id, port in ports.items():
        return _vlans(port_id, port)
    return None


def _vlans(port_id: str, port: dict[str, Any]) -> base.PortState:
    if not port['enabled']:
        return base.PortState(port_id, exists=True)
    info = port['switchportInfo']
    if info['mode'] == 'trunk':
        return base.trunk(
            port_id,
            info['trunkingNativeVlanId'],
            str(info['trunkAllowedVlans']),
        )
    vlan = base.vlan_or_none(info['accessVlanId'])
    return base.PortState(port_id, exists=True, vlan=vlan)


def read_macs(mac: str, text: str) -> tuple[base.Heard, ...]:
    """Read where an address was heard.

    :raises ValueError: the answer has no table.
    """
    rows = _answer(text)['unicastTable']['tableEntries']
    return tuple(
        base.Heard(
            str(row['interface']), base.vlan_or_none(row['vlanId']), None
        )
        for row in rows
        if base.normalised_mac(row['macAddress']) == mac
    )
