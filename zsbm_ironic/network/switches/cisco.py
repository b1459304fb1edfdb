# SPDX-License-Identifier: Apache-2.0
"""Cisco IOS and NX-OS, asked by `show` as an ordinary user may.

What they print is read by templates of ntc-templates, one for each command;
what the columns mean is here, once for both. Not shown on a real switch.
"""

import dataclasses
import functools
import importlib.resources
import re
from typing import Any, ClassVar

import textfsm

from zsbm_ironic.network.switches import base, session

Row = dict[str, Any]
# `% Invalid input detected at '^' marker.`, `Invalid range at '^' marker.`
_NO_SUCH = re.compile(r"^\W*Invalid .+ at '\^' marker", re.MULTILINE)
_ERROR = re.compile(r'^\s*%', re.MULTILINE)


class Ios(session.LoggedIn):
    """A `base.Switch`.

    :cvar SHOW: what the name of an interface comes after.
    :cvar INTERFACE: template that reads an interface.
    :cvar SWITCHPORT: template that reads the VLANs of an interface.
    :cvar MAC: template that reads the table of MAC addresses.
    """

    NETMIKO = 'cisco_ios'
    SHOW: ClassVar[str] = 'show interfaces'
    INTERFACE: ClassVar[str] = 'cisco_ios_show_interfaces'
    SWITCHPORT: ClassVar[str] = 'cisco_ios_show_interfaces_switchport'
    MAC: ClassVar[str] = 'cisco_ios_show_mac-address-table'

    def port_state(self, port_id: str) -> base.PortState:
        """Ask for one port; see `base.Switch`."""
        wanted = base.port_name(port_id)
        link = self._session.ask(
            f'port {wanted}',
            f'{self.SHOW} {wanted}',
            functools.partial(read_link, self.INTERFACE, wanted),
        )
        if not link.exists:
            return link
        vlans = self._session.ask(
            f'port {wanted}',
            f'{self.SHOW} {wanted} switchport',
            functools.partial(read_vlans, self.SWITCHPORT),
        )
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
            f'show mac address-table address {base.dotted(wanted)}',
            functools.partial(read_macs, self.MAC, wanted),
        )

    def same_port(self, one: str, other: str) -> bool:
        """`Gi1/0/7` is `GigabitEthernet1/0/7`."""
        return base.same_port(one, other)


class Nxos(Ios):
    """A `base.Switch`."""

    NETMIKO = 'cisco_nxos'
    SHOW = 'show interface'
    INTERFACE = 'cisco_nxos_show_interface'
    SWITCHPORT = 'cisco_nxos_show_interface_switchport'
    MAC = 'cisco_nxos_show_mac_address-table'


def _rows(template: str, text: str) -> list[Row]:
    """Return what a template of ntc-templates reads.

    :raises ValueError: the switch says an error.
    :raises textfsm.TextFSMError: the template does not know a line.
    """
    if _ERROR.search(text):
        raise ValueError('an error of the switch')
    folder = importlib.resources.files('ntc_templates') / 'templates'
    with (folder / f'{template}.textfsm').open() as lines:
        return list(textfsm.TextFSM(lines).ParseTextToDicts(text))


def read_link(template: str, port_id: str, text: str) -> base.PortState:
    """Read whether a port is there, shut down, linked, and its MTU.

    :raises ValueError: the answer is about no port.
    """
    if _NO_SUCH.search(text):
        return base.PortState(port_id, exists=False)
    rows = _rows(template, text)
    if len(rows) != 1:
        raise ValueError('one interface was expected')
    link = str(rows[0]['LINK_STATUS']).lower()
    # NX-OS has it in a line of its own, which the template calls ADMIN_STATE.
    shut = 'administratively' in link or rows[0].get('ADMIN_STATE') == 'down'
    if not link.startswith(('up', 'down', 'administratively')):
        raise ValueError('the state of a link was expected')
    mtu = rows[0]['MTU']
    return base.PortState(
        port_id,
        exists=True,
        up=link.startswith('up'),
        admin_up=not shut,
        mtu=int(mtu) if mtu else None,
    )


def read_vlans(template: str, text: str) -> base.PortState:
    """Read the VLANs of a port.

    :raises ValueError: the answer is about no port, or several.
    """
    rows = _rows(template, text)
    if len(rows) != 1:
        raise ValueError('the VLANs of one port were expected')
    (row,) = rows
    port_id = str(row['INTERFACE'])
    if row['SWITCHPORT'].lower() != 'enabled':
        return base.PortState(port_id, exists=True)
    mode = row['MODE'].lower()
    if mode.startswith('down'):  # IOS: what it would be with a link
        mode = row['ADMIN_MODE'].lower()
    if 'trunk' not in mode:
        vlan = base.vlan_or_none(row['ACCESS_VLAN'])
        return base.PortState(port_id, exists=True, vlan=vlan)
    allowed = row['TRUNKING_VLANS']
    words = ','.join(allowed) if isinstance(allowed, list) else allowed
    return base.trunk(port_id, row['NATIVE_VLAN'], words)


def read_macs(template: str, mac: str, text: str) -> tuple[base.Heard, ...]:
    """Read where an address was heard.

    :raises ValueError: the switch says an error.
    """
    found = []
    for row in _rows(template, text):
        address = row.get('DESTINATION_ADDRESS') or row['MAC_ADDRESS']
        if base.normalised_mac(address) != mac:
            continue
        ports = row.get('DESTINATION_PORT') or [row['PORTS']]
        age = row.get('AGE', '')
        age_s = int(age) if age.isdigit() else None
        vlan = base.vlan_or_none(row['VLAN_ID'])
        found += [base.Heard(port, vlan, age_s) for port in ports]
    return tuple(sorted(found, key=lambda one: one.age_s or 0))
