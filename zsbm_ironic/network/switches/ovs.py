# SPDX-License-Identifier: Apache-2.0
"""An Open vSwitch on a Linux, asked by ovs-vsctl and ovs-appctl.

One command brings all its ports; names of ports are compared here and never
part of a command. Formats: ovs-vsctl(8) `--format=json`, RFC 7047 section 5.1
for the values, ovs-vswitchd(8) `fdb/show`.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from zsbm_ironic.network.switches import base, session

# Its own limit, so that it does not stay behind.
_TIMEOUT = '--timeout=10'
DATABASE = (
    f'ovs-vsctl {_TIMEOUT} --format=json'
    ' -- --columns=name,ports,stp_enable,rstp_enable,other_config list bridge'
    ' -- --columns=_uuid,name,tag,trunks,vlan_mode,interfaces,other_config'
    ' list port'
    ' -- --columns=_uuid,name,ofport,admin_state,link_state,mtu list interface'
)
# Of a network interface of Linux: at most 15 characters (linux/if.h).
_BRIDGE = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}\Z')
_FDB_HEAD = ['port', 'VLAN', 'MAC', 'Age']
_LOCAL = 'LOCAL'
# In which rapid spanning tree finds out that nobody else speaks it (IEEE
# 802.1D-2004, 17.13.9).
_MIGRATE_S = 3


@dataclasses.dataclass(frozen=True)
class Interface:
    """A row of table Interface.

    :ivar ofport: its number in the bridge; None: not there.
    """

    name: str
    ofport: int | None
    admin_up: bool | None
    up: bool | None
    mtu: int | None


@dataclasses.dataclass(frozen=True)
class Port:
    """A row of table Port with its interfaces, several for a bond."""

    name: str
    tag: int | None
    trunks: frozenset[int]
    mode: str
    interfaces: tuple[Interface, ...]
    deaf_s: int

    def state(self) -> base.PortState:
        """Say what ovs-vswitchd.conf.db(5) makes of tag, trunks and mode."""
        mode = self.mode or ('trunk' if self.tag is None else 'access')
        tagged: frozenset[int] | None = frozenset()
        if mode in ('trunk', 'native-tagged', 'native-untagged'):
            tagged = self.trunks or None
        vlan = None if mode == 'trunk' else self.tag
        if mode == 'native-untagged' and tagged is not None:
            tagged -= {vlan or 0}
        if mode == 'native-tagged' and tagged is not None:
            tagged |= {vlan or 0}
        mtus = [one.mtu for one in self.interfaces if one.mtu is not None]
        return base.PortState(
            port_id=self.name,
            exists=True,
            up=_any([one.up for one in self.interfaces]),
            admin_up=_any([one.admin_up for one in self.interfaces]),
            vlan=vlan,
            tagged=tagged,
            mtu=min(mtus, default=None),
            deaf_s=self.deaf_s,
        )


Bridges = Mapping[str, tuple[Port, ...]]


class Ovs(session.LoggedIn):
    """A `base.Switch`."""

    NETMIKO = 'ovs_linux'

    def __init__(self, asked: session.Session) -> None:
        super().__init__(asked)
        bridge = asked.login.ovs_bridge
        if bridge is not None and not _BRIDGE.match(bridge):
            raise asked.login.invalid(
                'ngs_ovs_bridge',
                f'"{base.printable(bridge, 40)}" is not the name of a bridge.',
            )
        self._bridge = bridge
        asked.become_root()

    def port_state(self, port_id: str) -> base.PortState:
        """Ask for one port; see `base.Switch`."""
        wanted = base.port_name(port_id)
        for name, ports in self._bridges(f'port {wanted}').items():
            for port in ports:
                # A bridge is not one of its own ports.
                if port.name == wanted != name:
                    return port.state()
        return base.PortState(wanted, exists=False)

    def where_is(self, mac: str) -> tuple[base.Heard, ...]:
        """Ask where a MAC address was heard; see `base.Switch`."""
        wanted = base.mac_address(mac)
        question = f'MAC {wanted}'
        bridges = self._bridges(question)
        if self._bridge is not None and self._bridge not in bridges:
            raise self._session.login.invalid(
                'ngs_ovs_bridge',
                f'the switch has no bridge {self._bridge}, but '
                f'{", ".join(bridges) or "none"}.',
            )
        found = []
        for name in [self._bridge] if self._bridge else bridges:
            names = _names(name, bridges[name])
            for number, vlan, address, age_s in self._session.ask(
                question, f'ovs-appctl {_TIMEOUT} fdb/show {name}', read_fdb
            ):
                if address == wanted:
                    port = names.get(number, number)
                    found.append(base.Heard(port, vlan, age_s))
        return tuple(sorted(found, key=lambda one: one.age_s or 0))

    def same_port(self, one: str, other: str) -> bool:
        """Names of Linux have one form only."""
        return one == other

    def _bridges(self, question: str) -> Bridges:
        return self._session.ask(question, DATABASE, read_database)


def read_database(text: str) -> Bridges:
    """Read what DATABASE prints: a table a line.

    :raises ValueError: it is something else.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != 3 or not all(line.startswith('{') for line in lines):
        raise ValueError('three tables were expected')
    bridges, ports, interfaces = (_rows(json.loads(line)) for line in lines)
    by_uuid = {_uuid(row['_uuid']): _interface(row) for row in interfaces}
    rows = {_uuid(row['_uuid']): row for row in ports}
    found = {}
    for row in bridges:
        name = str(row['name'])
        if not _BRIDGE.match(name):
            raise ValueError(f'{base.printable(name)} is no name of a bridge')
        found[name] = tuple(
            _port(rows[_uuid(one)], by_uuid, row)
            for one in _members(row['ports'])
        )
    return found


def read_fdb(text: str) -> list[tuple[str, int | None, str, int | None]]:
    """Read fdb/show: number of the port, VLAN, MAC, seconds.

    :raises ValueError: it is something else.
    """
    head, *rows = text.strip().splitlines() or ['']
    if head.split() != _FDB_HEAD:
        raise ValueError('a table of MAC addresses was expected')
    found = []
    for row in rows:
        number, vlan, mac, age = row.split()
        age_s = int(age) if age.isdigit() else None
        found.append((number, base.vlan_or_none(vlan), mac.lower(), age_s))
    return found


def _names(bridge: str, ports: tuple[Port, ...]) -> dict[str, str]:
    """Return the name of the port that each number of a bridge belongs to."""
    return {_LOCAL: bridge} | {
        str(interface.ofport): port.name
        for port in ports
        for interface in port.interfaces
        if interface.ofport is not None
    }


def _rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        dict(zip(table['headings'], row, strict=True)) for row in table['data']
    ]


def _members(value: Any) -> list[Any]:
    """Return the members of a set; one alone is written without a set."""
    if isinstance(value, list) and value and value[0] == 'set':
        return list(value[1])
    return [value]


def _uuid(value: Any) -> str:
    kind, text = value
    if kind != 'uuid':
        raise ValueError('a UUID was expected')
    return str(text)


def _one(value: Any) -> Any:
    """Return the value of a column that may be empty: None."""
    members = _members(value)
    return members[0] if members else None


def _number(value: Any) -> int | None:
    one = _one(value)
    return None if one is None else int(one)


def _is_up(value: Any) -> bool | None:
    one = _one(value)
    return None if one is None else one == 'up'


def _interface(row: dict[str, Any]) -> Interface:
    ofport = _number(row['ofport'])
    return Interface(
        name=str(row['name']),
        # -1: it could not be added.
        ofport=ofport if ofport is not None and ofport > 0 else None,
        admin_up=_is_up(row['admin_state']),
        up=_is_up(row['link_state']),
        mtu=_number(row['mtu']),
    )


def _deaf_s(bridge: dict[str, Any], port: dict[str, Any]) -> int:
    """Return what ovs-vswitchd.conf.db(5) makes of spanning tree settings."""
    own, all_of_it = _map(port['other_config']), _map(bridge['other_config'])
    if bridge['rstp_enable'] is True:
        edge = (
            own.get('rstp-enable') == 'false'
            or own.get('rstp-port-admin-edge') == 'true'
        )
        if edge:
            return 0
        if own.get('rstp-port-auto-edge') != 'false':
            return _MIGRATE_S
        kind = 'rstp'
    elif bridge['stp_enable'] is True and own.get('stp-enable') != 'false':
        kind = 'stp'
    else:
        return 0
    said = all_of_it.get(f'{kind}-forward-delay', str(base.FORWARD_DELAY_S))
    return base.STATES * int(said)


def _map(value: Any) -> dict[str, str]:
    kind, pairs = value
    if kind != 'map':
        raise ValueError('a map was expected')
    return {str(key): str(one) for key, one in pairs}


def _port(
    row: dict[str, Any],
    interfaces: dict[str, Interface],
    bridge: dict[str, Any],
) -> Port:
    return Port(
        name=str(row['name']),
        tag=_number(row['tag']),
        trunks=frozenset(int(one) for one in _members(row['trunks'])),
        mode=str(_one(row['vlan_mode']) or ''),
        interfaces=tuple(
            interfaces[_uuid(one)] for one in _members(row['interfaces'])
        ),
        deaf_s=_deaf_s(bridge, row),
    )


def _any(values: list[bool | None]) -> bool | None:
    """Whether one is true; None where none says."""
    said = [value for value in values if value is not None]
    return any(said) if said else None
