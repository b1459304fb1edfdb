# SPDX-License-Identifier: Apache-2.0
"""Judges the VLANs that ironic-networking is to set, without a Neutron.

Upstream leaves a port out where it does not find a VLAN for it, or the name of
its switch, and says so in its log alone: the server then waits for a DHCP that
is elsewhere. Pure; `vlan` reads the settings.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from zsbm_ironic.network import plan, wiring
from zsbm_ironic.network.finding import Finding, Means, State


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a port of a switch is to be, for one purpose.

    :ivar setting: where it is said; where it could be, if nowhere.
    :ivar vlan: of frames without a tag; None: nowhere said.
    :ivar tagged: VLANs of frames with one.
    """

    purpose: wiring.Purpose
    nic: wiring.Nic
    setting: str
    vlan: int | None = None
    tagged: frozenset[int] = frozenset()

    @property
    def said(self) -> bool:
        return self.vlan is not None or bool(self.tagged)

    @property
    def network(self) -> wiring.Network | None:
        """The VLAN as a network, of which nobody knows more."""
        if self.vlan is None:
            return None
        return wiring.Network(
            f'vlan-{self.vlan}',
            f'VLAN {self.vlan}',
            (wiring.Segment('vlan', self.nic.physical_network, self.vlan),),
            subnets=1,
        )


def judge(
    wanted: Iterable[Wanted], allowed: frozenset[int] | None = None
) -> Iterator[Finding]:
    """Return what was looked at, a port and purpose each.

    :param allowed: [ironic_networking]allowed_vlans; None: all.
    """
    for one in wanted:
        if not one.said:
            yield _nowhere(one)
            continue
        yield from _named(one)
        yield from _vlans(one, allowed)


def _nowhere(one: Wanted) -> Finding:
    """Tell of a port that no VLAN is said for.

    A ramdisk is waited for in vain then; what a user gets may be wired by
    hand.
    """
    needed = one.purpose in plan.RAMDISK and one.nic.boots
    return Finding(
        'vlan',
        State.WRONG if needed else State.UNKNOWN,
        Means.PLAN,
        one.nic.address,
        f'no VLAN is said for {one.purpose}, so its port of the switch stays '
        'as it is',
        f'Set {one.setting}.',
    )


def _named(one: Wanted) -> Iterator[Finding]:
    if one.nic.wired and not one.nic.switch_id:
        yield _wrong(
            'link-information',
            one.nic.address,
            'local_link_connection has no switch_id, by which '
            'ironic-networking finds a switch',
            f'openstack baremetal port set {one.nic.uuid} '
            '--local-link-connection switch_id=MAC-OR-NAME.',
        )


def _vlans(one: Wanted, allowed: frozenset[int] | None) -> Iterator[Finding]:
    native = frozenset() if one.vlan is None else frozenset({one.vlan})
    numbers = sorted(one.tagged | native)
    bad = [number for number in numbers if number not in wiring.VLANS]
    barred = [
        number
        for number in numbers
        if allowed is not None and number not in allowed
    ]
    if bad:
        yield _wrong(
            'vlan-range',
            one.nic.address,
            f'VLAN {bad[0]} for {one.purpose} is none',
            f'Set {one.setting} to one of 1 to 4094.',
        )
    elif barred:
        yield _wrong(
            'vlan-range',
            one.nic.address,
            f'VLAN {barred[0]} for {one.purpose} is not in '
            '[ironic_networking]allowed_vlans',
            f'Add it there, or set {one.setting}.',
        )
    else:
        yield Finding(
            'vlan',
            State.OK,
            Means.PLAN,
            one.nic.address,
            f'{one.purpose}, VLAN ' + ', '.join(map(str, numbers)),
        )


def _wrong(check: str, about: str, detail: str, remedy: str) -> Finding:
    return Finding(check, State.WRONG, Means.PLAN, about, detail, remedy)
