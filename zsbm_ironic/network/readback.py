# SPDX-License-Identifier: Apache-2.0
"""Holds what a switch answers against where a server is said to be plugged in.

Called before a server enters a network, after its port is bound, and while it
waits in vain for its ramdisk. A switch that cannot be asked is a finding as
well: Neutron would fare no better. Of one whose kind nobody here can ask, or
reads, nothing is known. Nothing is changed.
"""

import contextlib
import dataclasses
import shlex
from collections.abc import Iterable, Iterator
from typing import Protocol

from zsbm_ironic.common import exception
from zsbm_ironic.network import exception as network_exception
from zsbm_ironic.network import wiring
from zsbm_ironic.network.finding import Finding, Means, State
from zsbm_ironic.network.switches import base, login, settings

# Firmware asks for an address for longer than this, or begins later.
PATIENCE_S = 10


class Ask(Protocol):
    """Knows the switches of ports, and logs in to them."""

    def settings_of(self, nic: wiring.Nic) -> settings.SwitchSettings:
        """Return what Neutron has of the switch of a port."""
        ...

    def log_in(
        self, switch: settings.SwitchSettings
    ) -> contextlib.AbstractContextManager[base.Switch]:
        """Return the switch, to be asked."""
        ...


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the port of the switch should have.

    :ivar network: that the server is in now; None: in none yet, or it is not
        to be looked at.
    :ivar tagged: VLANs that pass beside it, of a trunk.
    :ivar to_enter: networks that it is to be in next; whether the switch is
        allowed their VLANs is looked at.
    :ivar mates: the other ports of its bond, each of which may have what the
        server sends.
    """

    nic: wiring.Nic
    network: wiring.Network | None = None
    tagged: frozenset[int] = frozenset()
    to_enter: tuple[wiring.Network, ...] = ()
    mates: tuple[wiring.Nic, ...] = ()


@dataclasses.dataclass(frozen=True)
class Asking:
    """Logs in to switches by the settings that Neutron has.

    :ivar files: see `switches.settings.read`.
    :ivar known_hosts: see `switches.login.to`.
    :ivar timeout_s: for the login, and once more for each question.
    """

    files: tuple[str, ...]
    known_hosts: str | None
    timeout_s: float

    def settings_of(self, nic: wiring.Nic) -> settings.SwitchSettings:
        """Return what Neutron has of the switch of a port."""
        return settings.read(self.files).find(
            switch_info=nic.switch, switch_id=nic.switch_id
        )

    def log_in(self, switch: settings.SwitchSettings) -> base.Switch:
        """Return the switch, to be asked."""
        return login.to(
            switch, known_hosts=self.known_hosts, timeout_s=self.timeout_s
        )


def look(expected: Iterable[Expected], ask: Ask) -> list[Finding]:
    """Return what the switches answer about ports, one login for each.

    Ports that say no switch are left out: `plan` tells of them.
    """
    by_switch: dict[tuple[str, str], list[Expected]] = {}
    for one in expected:
        if one.nic.wired:
            key = (one.nic.switch, one.nic.switch_id)
            by_switch.setdefault(key, []).append(one)
    found: list[Finding] = []
    for some in by_switch.values():
        try:
            known = ask.settings_of(some[0].nic)
            for one in some:
                found += _allowed(one, known)
            with ask.log_in(known) as switch:
                for one in some:
                    found += _port(one, switch)
        except (
            network_exception.SwitchPlatformUnknown,
            network_exception.SwitchAnswerUnclear,
        ) as exc:
            found.append(
                _unknown(
                    'switch',
                    some[0].nic.switch,
                    str(exc).rstrip('.'),
                    'Look at the switch by hand: link and VLANs of '
                    + ', '.join(f'port {one.nic.port_id}' for one in some)
                    + '.',
                )
            )
        except exception.ZsbmError as exc:
            found.append(
                _wrong(
                    'switch',
                    some[0].nic.switch,
                    str(exc).rstrip('.'),
                    'What keeps us from asking it keeps others from '
                    'configuring it.',
                )
            )
    return found


def _allowed(
    expected: Expected, switch: settings.SwitchSettings
) -> Iterator[Finding]:
    """Tell what Neutron is not allowed, and leaves out with a line of log."""
    nic = expected.nic
    ports, vlans = switch.allowed_ports, switch.allowed_vlans
    if ports is not None and nic.port_id not in ports:
        yield _wrong(
            'switch-allows',
            nic.address,
            f'{nic.place} is not in ngs_allowed_ports of {switch.file}',
            'Add it there and where Neutron has it.',
        )
    if vlans is None:
        return
    needed = dict.fromkeys(expected.tagged, nic.address)
    for network in (expected.network, *expected.to_enter):
        native = network and _native(network, nic)
        if network and native:
            needed[native] = network.name
    for vlan, about in sorted(needed.items()):
        if str(vlan) not in vlans:
            yield _wrong(
                'switch-allows',
                about,
                f'VLAN {vlan} is not in ngs_allowed_vlans of switch '
                f'{nic.switch}, {switch.file}',
                'Add it there and where Neutron has it, or take a network '
                'with another VLAN.',
            )


def _native(network: wiring.Network, nic: wiring.Nic) -> int | None:
    """Return the VLAN that networking-generic-switch sets for a network.

    A flat one is its VLAN 1. An overlay has none until it is entered.
    """
    vlan = network.vlan_on(nic.physical_network)
    return 1 if vlan is None and 'flat' in network.kinds else vlan


def _port(expected: Expected, switch: base.Switch) -> Iterator[Finding]:
    nic, network = expected.nic, expected.network
    state = switch.port_state(nic.port_id)
    if not state.exists:
        yield _wrong(
            'switch-port',
            nic.address,
            f'switch {nic.switch} has no port {nic.port_id}',
            f'openstack baremetal port set {nic.uuid} '
            '--local-link-connection port_id=PORT.',
        )
        yield from _elsewhere(expected, switch)
        return
    yield from _elsewhere(expected, switch)
    if state.deaf_s and state.deaf_s > PATIENCE_S:
        yield _unknown(
            'stp-delay',
            nic.address,
            f'spanning tree keeps frames out of {nic.place} for '
            f'{state.deaf_s} s after each link up: firmware may give up '
            'before',
            'Make it an edge port there (portfast).',
        )
    if network is None and not expected.tagged:
        yield _ok('switch-port', nic, f'{nic.place} is there')
        return
    if state.admin_up is False or state.up is False:
        why = 'is shut down' if state.admin_up is False else 'has no link'
        yield Finding(
            'link',
            State.UNKNOWN if state.admin_up else State.WRONG,
            Means.SWITCH,
            nic.address,
            f'{nic.place} {why}',
            'Plug in its cable; a server that is off may have no link.'
            if state.admin_up
            else 'See why the switch does not do what Neutron told it.',
        )
    if network:
        yield from _vlan(nic, network, state)
    missing = sorted(
        vlan for vlan in expected.tagged if not state.carries(vlan)
    )
    if missing:
        yield _wrong(
            'trunk-vlan',
            nic.address,
            f'{nic.place} does not carry VLAN ' + ', '.join(map(str, missing)),
            'The switch did not do what Neutron told it: its log says so.',
        )
    if network and network.mtu and state.mtu and state.mtu < network.mtu:
        yield _wrong(
            'mtu',
            nic.address,
            f'{nic.place} passes {state.mtu} bytes, {network.name} has an '
            f'MTU of {network.mtu}',
            'Raise it there, or openstack network set --mtu '
            f'{state.mtu} {network.id}.',
        )


def _vlan(
    nic: wiring.Nic, network: wiring.Network, state: base.PortState
) -> Iterator[Finding]:
    wanted = network.vlan_on(nic.physical_network)
    if wanted is None:
        # A flat network: whatever the switch calls it.
        if network.is_overlay:
            yield _not_led(nic, network)
        return
    if state.vlan == wanted:
        detail = f'{nic.place} is in VLAN {wanted}, {network.name}'
        yield _ok('native-vlan', nic, detail)
        return
    yield _wrong(
        'native-vlan',
        nic.address,
        f'{nic.place} is in {_named(state.vlan)} for frames without a tag, '
        f'{network.name} is VLAN {wanted}',
        'Somebody else configures that port, or the switch did not do what '
        'Neutron told it: its log says so.',
    )


def _not_led(nic: wiring.Nic, network: wiring.Network) -> Finding:
    """Tell of an overlay that ends at no VLAN of a switch port."""
    where = nic.physical_network or 'any physical network'
    if not network.tells_all:
        return _unknown(
            'native-vlan',
            nic.address,
            f'{network.name} is an overlay, and Neutron does not tell which '
            f'VLAN leads it to {nic.place}',
            'Load service plugin segments in Neutron.',
        )
    return _wrong(
        'native-vlan',
        nic.address,
        f'{network.name} is an overlay and has no VLAN on {where}, so '
        f'nothing leads it to {nic.place}',
        'See that mechanism driver baremetal-l2vni is in [ml2]'
        'mechanism_drivers of Neutron, and its log.',
    )


def _named(vlan: int | None) -> str:
    return f'VLAN {vlan}' if vlan else 'no VLAN'


def _elsewhere(expected: Expected, switch: base.Switch) -> Iterator[Finding]:
    """Tell where the address was heard, if that is another port.

    Only the last word counts: a switch forgets an old cable after minutes. A
    bond sends by any of its ports. Where the switch has them for one, or hears
    them from the switch that others are at, it cannot be told from a wrong
    cable.
    """
    nic = expected.nic
    heard = switch.where_is(nic.address)
    near = [one for one in expected.mates if one.is_at_switch_of(nic)]
    if not heard or any(
        switch.same_port(one.port_id, mine.port_id)
        for one in heard
        for mine in (nic, *near)
    ):
        return
    last = heard[0]
    when = '' if last.age_s is None else f' {last.age_s} s ago'
    where = (
        f'was last heard at port {last.port_id} of switch {nic.switch}, '
        f'in {_named(last.vlan)}{when}; local_link_connection says '
        f'{nic.port_id}'
    )
    if expected.mates and (
        base.is_aggregate(last.port_id) or len(near) < len(expected.mates)
    ):
        yield _unknown(
            'heard-elsewhere',
            nic.address,
            f'{where}, of a bond',
            f'See there that port {last.port_id} is one for the ports of the '
            'bond, or leads to the switch that others of them are at.',
        )
        return
    yield _wrong(
        'heard-elsewhere',
        nic.address,
        where,
        'Plug it in where it belongs, or openstack baremetal port set '
        f'{nic.uuid} --local-link-connection '
        f'port_id={shlex.quote(last.port_id)}.',
    )


def silent(expected: Iterable[Expected], ask: Ask) -> list[Finding]:
    """Return why a server that is on is not heard of, as switches tell it.

    :param expected: of the ports that it boots by, each with the network that
        it is waited for in.
    """
    some = [one for one in expected if one.nic.wired]
    # What is for a person to judge is a reason, once a server is not heard.
    found = [
        dataclasses.replace(one, state=State.WRONG)
        if one.check == 'stp-delay'
        else one
        for one in look(some, ask)
    ]
    told = {
        one.about
        for one in found
        if one.check == 'switch'
        or (one.state is State.WRONG and one.check != 'stp-delay')
    }
    for nic in (one.nic for one in some):
        if nic.address in told or nic.switch in told:
            continue
        with ask.log_in(ask.settings_of(nic)) as switch:
            if switch.where_is(nic.address):
                continue
        found.append(
            _wrong(
                'link',
                nic.address,
                f'no frame of it was heard at switch {nic.switch}, at '
                f'{nic.port_id} or elsewhere: it has no link, or its '
                'firmware does not boot by it',
                'Plug in its cable, and see the order of boot devices in '
                'its firmware.',
            )
        )
    return found


def _ok(check: str, nic: wiring.Nic, detail: str) -> Finding:
    return Finding(check, State.OK, Means.SWITCH, nic.address, detail)


def _unknown(check: str, about: str, detail: str, remedy: str) -> Finding:
    return Finding(check, State.UNKNOWN, Means.SWITCH, about, detail, remedy)


def _wrong(check: str, about: str, detail: str, remedy: str) -> Finding:
    return Finding(check, State.WRONG, Means.SWITCH, about, detail, remedy)
