# SPDX-License-Identifier: Apache-2.0
"""Holds what a server saw of its network against what is set.

Called with what the ramdisk reported (`ramdisk.seen`), which may be anything:
a server is asked, and is not trusted. LLDP is read here as far as it tells
where a cable ends.
"""

import binascii
import dataclasses
import shlex
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from zsbm_ironic.network import wiring
from zsbm_ironic.network.finding import Finding, Means, State
from zsbm_ironic.network.switches import base
from zsbm_ironic.ramdisk import version

# Types of IEEE 802.1AB-2016, table 8-1, and subtypes: 8-2, 8-3.
_CHASSIS, _PORT, _DESCRIPTION, _SYSTEM, _OWN = 1, 2, 4, 5, 127
_CHASSIS_MAC, _PORT_MAC = 4, 3
# Of organisations: port VLAN ID (IEEE 802.1Q-2018, D.2.1) and maximum frame
# size (IEEE 802.3-2018, 79.3.4).
_VLAN = bytes.fromhex('0080c201')
_FRAME = bytes.fromhex('00120f04')
# Header, VLAN tag and check sequence of a frame.
_AROUND = 22
# Of a text of LLDP (IEEE 802.1AB-2016, 8.5).
_TEXT = 255


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """What a switch says of itself at the other end of a cable.

    :ivar switch_id: MAC address, or another chassis id.
    :ivar port_ids: by which it calls the port: its id and its description.
    :ivar vlan: of frames without a tag; None: it does not say.
    :ivar frame: maximum frame size, bytes; None: it does not say. Some count
        the header and the check sequence, some do not.
    """

    switch_id: str = ''
    system: str = ''
    port_ids: tuple[str, ...] = ()
    vlan: int | None = None
    frame: int | None = None


@dataclasses.dataclass(frozen=True)
class Seen:
    """A NIC as the ramdisk sees it.

    :ivar carrier: None: it is not known, as where the BMC told of it.
    :ivar neighbour: None: no LLDP was heard.
    """

    name: str
    address: str
    carrier: bool | None
    neighbour: Neighbour | None = None


@dataclasses.dataclass(frozen=True)
class Told:
    """What a ramdisk told of its network.

    :ivar tried: IP packet that was sent to the conductor, bytes; None: none.
    :ivar largest: that came back; None: not even a small one, so that nothing
        is known.
    """

    nics: tuple[Seen, ...] = ()
    tried: int | None = None
    largest: int | None = None


def read(told: Any) -> Told:
    """Return what a ramdisk reported; what is no NIC is left out.

    :param told: `{interfaces: [{name, mac_address, has_carrier, lldp}], tried,
        largest}`; NICs are as in the inventory of the agent, `lldp` is
        `[[type, hex], …]`.
    """
    if not isinstance(told, Mapping):
        return Told()
    return Told(
        tuple(
            Seen(
                base.printable(str(one.get('name')), 40),
                str(one['mac_address']).lower(),
                _truth(one.get('has_carrier')),
                neighbour(_listed(one.get('lldp'))),
            )
            for one in _listed(told.get('interfaces'))
            if isinstance(one, Mapping) and one.get('mac_address')
        ),
        _bytes(told.get('tried')),
        _bytes(told.get('largest')),
    )


def inspected(data: Any) -> Told:
    """Return what a ramdisk, or a BMC, reported at an inspection.

    :param data: `{inventory: {interfaces}, plugin_data: {lldp_raw}}`, as
        Ironic keeps it.
    """
    plugins = _mapping(_mapping(data).get('plugin_data'))
    heard = _mapping(plugins.get('lldp_raw'))
    nics = _mapping(_mapping(data).get('inventory')).get('interfaces')
    return read(
        {
            **_mapping(plugins.get(version.NETWORK_KEY)),
            'interfaces': [
                {
                    **one,
                    'lldp': heard.get(str(one.get('name'))) or one.get('lldp'),
                }
                for one in _listed(nics)
                if isinstance(one, Mapping)
            ],
        }
    )


def _mapping(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _truth(said: Any) -> bool | None:
    return said if isinstance(said, bool) else None


def _bytes(said: Any) -> int | None:
    return said if type(said) is int and said > 0 else None


def _listed(said: Any) -> list[Any]:
    return list(said) if isinstance(said, list | tuple) else []


def neighbour(tlvs: Iterable[Any]) -> Neighbour | None:
    """Return what an LLDP frame says; None: it says nothing of a port.

    :param tlvs: `(type, value in hexadecimal)` each, as the agent has them.
    """
    values: dict[int, bytes] = {}
    own: list[bytes] = []
    for one in tlvs:
        try:
            kind, value = int(one[0]), bytes.fromhex(one[1])
        except (ValueError, TypeError, LookupError, binascii.Error):
            continue
        if kind == _OWN:
            own.append(value)
        else:
            values.setdefault(kind, value)
    if _PORT not in values:
        return None
    ports = (
        _identifier(values[_PORT], _PORT_MAC),
        _text(values.get(_DESCRIPTION, b'')),
    )
    return Neighbour(
        _identifier(values.get(_CHASSIS, b''), _CHASSIS_MAC),
        _text(values.get(_SYSTEM, b'')),
        tuple(port for port in ports if port),
        _number(own, _VLAN),
        _number(own, _FRAME),
    )


def _identifier(value: bytes, mac_subtype: int) -> str:
    if value[:1] == bytes([mac_subtype]) and len(value) == 7:
        return value[1:].hex(':')
    return _text(value[1:])


def _text(value: bytes) -> str:
    text = value[:_TEXT].decode('utf-8', 'replace').strip('\0 ')
    return text if text.isprintable() else ''


def _number(own: Iterable[bytes], kind: bytes) -> int | None:
    """Return two bytes that follow; 0 is for none."""
    for value in own:
        if value.startswith(kind) and len(value) >= len(kind) + 2:
            (found,) = struct.unpack_from('!H', value, len(kind))
            return found or None
    return None


def judge(
    nics: Iterable[wiring.Nic],
    told: Told,
    *,
    network: wiring.Network | None = None,
) -> list[Finding]:
    """Return what the server saw, held against what is set.

    :param nics: ports of its node.
    :param told: without NICs, nothing is said of any.
    :param network: that its ramdisk ran in; None: not known any more.
    """
    found = {one.address: one for one in told.nics}
    known = {nic.address: nic for nic in nics}
    # A BMC may tell of some only, and of no link.
    looked = any(one.carrier is not None for one in told.nics)
    findings: list[Finding] = []
    for nic in known.values() if found else ():
        seen = found.get(nic.address)
        findings += (
            [_absent(nic, looked=looked)]
            if seen is None
            else _nic(nic, seen, known, network)
        )
    if network:
        findings += _packets(network, told)
    return findings


def _absent(nic: wiring.Nic, *, looked: bool) -> Finding:
    return Finding(
        'not-of-this-server',
        State.WRONG if looked else State.UNKNOWN,
        Means.RAMDISK,
        nic.address,
        'the server has no NIC with this address'
        if looked
        else 'the BMC tells of no NIC with this address',
        f'openstack baremetal port delete {nic.uuid}, or correct its address.',
    )


def _nic(
    nic: wiring.Nic,
    seen: Seen,
    known: Mapping[str, wiring.Nic],
    network: wiring.Network | None,
) -> Iterator[Finding]:
    if seen.carrier is False:
        yield Finding(
            'link',
            State.WRONG if nic.boots else State.UNKNOWN,
            Means.RAMDISK,
            nic.address,
            f'{seen.name} has no link'
            + (f'; it should be at {nic.place}' if nic.wired else ''),
            'Plug in or replace its cable, and see that the port of the '
            'switch is not shut down.',
        )
        return
    if seen.neighbour is None:
        if nic.wired:
            yield Finding(
                'switch-port',
                State.UNKNOWN,
                Means.RAMDISK,
                nic.address,
                f'no LLDP was heard at {seen.name}',
                'Turn LLDP on at the switch, so that a wrong cable is found.',
            )
        return
    yield from _place(nic, seen.neighbour, known)
    yield from _vlan_and_mtu(nic, seen.neighbour, network)


def _place(
    nic: wiring.Nic, said: Neighbour, known: Mapping[str, wiring.Nic]
) -> Iterator[Finding]:
    there = f'{" or ".join(said.port_ids)} of switch {_name(said)}'
    if not nic.wired:
        yield Finding(
            'switch-port',
            State.UNKNOWN,
            Means.RAMDISK,
            nic.address,
            f'is at port {there}, and its local_link_connection does not '
            'say so',
            f'openstack baremetal port set {nic.uuid} '
            '--local-link-connection '
            f'switch_id={shlex.quote(said.switch_id)} '
            '--local-link-connection '
            f'port_id={shlex.quote(said.port_ids[0])}.',
        )
        return
    if _is_at(nic, said):
        yield Finding(
            'switch-port',
            State.OK,
            Means.RAMDISK,
            nic.address,
            f'LLDP says {there}',
        )
        return
    twin = next(
        (
            other
            for other in known.values()
            if other is not nic and _is_at(other, said)
        ),
        None,
    )
    yield _wrong(
        'swapped-cables' if twin else 'switch-port',
        nic.address,
        f'local_link_connection says {nic.place}, LLDP says {there}'
        + (f', which is said to be that of {twin.address}' if twin else ''),
        'Swap the cables, or the two local_link_connection.'
        if twin
        else 'Plug it in where it belongs, or openstack baremetal port set '
        f'{nic.uuid} --local-link-connection '
        f'port_id={shlex.quote(said.port_ids[0])}.',
    )


def _is_at(nic: wiring.Nic, said: Neighbour) -> bool:
    """Say whether a switch that says this is the one that a port names.

    A name that LLDP does not tell is no contradiction.
    """
    if not nic.wired or not any(
        base.same_port(nic.port_id, one) for one in said.port_ids
    ):
        return False
    mine = base.normalised_mac(nic.switch_id)
    its = base.normalised_mac(said.switch_id)
    if mine and its:
        return mine == its
    # Some tell it with their domain.
    names = (said.system, said.system.partition('.')[0], said.switch_id)
    return not said.system or nic.switch in names


def _name(said: Neighbour) -> str:
    return said.system or said.switch_id


def _vlan_and_mtu(
    nic: wiring.Nic, said: Neighbour, network: wiring.Network | None
) -> Iterator[Finding]:
    if network is None:
        return
    wanted = network.vlan_on(nic.physical_network)
    if wanted and said.vlan and said.vlan != wanted and nic.boots:
        yield _wrong(
            'native-vlan',
            nic.address,
            f'the switch says VLAN {said.vlan} of frames without a tag, '
            f'{network.name} is VLAN {wanted}',
            f'See why switch {_name(said)} does not do what Neutron told it.',
        )
    # However it is counted (see `Neighbour`), no packet is larger.
    if network.mtu and said.frame and said.frame < network.mtu:
        yield _wrong(
            'mtu',
            nic.address,
            f'the switch passes frames of {said.frame} bytes, {network.name} '
            f'has an MTU of {network.mtu}',
            'Raise it at the switch, or openstack network set --mtu '
            f'{said.frame - _AROUND} {network.id}.',
        )


def _packets(network: wiring.Network, told: Told) -> list[Finding]:
    if told.tried is None:
        return []
    if told.largest is None:
        return [
            Finding(
                'mtu',
                State.UNKNOWN,
                Means.RAMDISK,
                network.name,
                'no packet came back from the conductor, not even a small '
                'one, so the way could not be tried',
                'Let the conductor answer ICMP echo requests.',
            )
        ]
    if told.largest >= told.tried:
        detail = f'packets of {told.tried} bytes reach the conductor'
        return [Finding('mtu', State.OK, Means.RAMDISK, network.name, detail)]
    return [
        _wrong(
            'mtu',
            network.name,
            f'packets of {told.tried} bytes do not come back from the '
            f'conductor; those of {told.largest} bytes do',
            'Raise the MTU of every switch between, or openstack network set '
            f'--mtu {told.largest} {network.id}.',
        )
    ]


def _wrong(check: str, about: str, detail: str, remedy: str) -> Finding:
    return Finding(check, State.WRONG, Means.RAMDISK, about, detail, remedy)
