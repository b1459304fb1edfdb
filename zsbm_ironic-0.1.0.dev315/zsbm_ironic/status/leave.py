# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status leave`: what is still ours, in the order in which it goes.

Uninstalled while `zsbm` is enabled, a conductor does not start again: nodes
are moved first, then the options, then the package. Nothing is changed here
and running instances are never touched.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from oslo_config import cfg

from zsbm_ironic.status import wanted

# Without a login of their own there is nothing to move a node to.
TYPE_OF_PROTOCOL = (('redfish_address', 'redfish'), ('ipmi_address', 'ipmi'))

# States in which ironic changes a node's driver; `active` in maintenance.
MOVABLE = ('enroll', 'manageable', 'available')


@dataclasses.dataclass(frozen=True)
class Node:
    """A node that still uses something of ours.

    :ivar fields: the fields and their values that are ours.
    :ivar commands: what moves it; empty where it has to settle first.
    :ivar note: what stands in the way, or empty.
    """

    name: str
    state: str
    fields: tuple[str, ...]
    commands: tuple[str, ...]
    note: str = ''


@dataclasses.dataclass(frozen=True)
class Option:
    """An option that names something of ours, and its value without it."""

    name: str
    value: str
    afterwards: str


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything that is still ours."""

    nodes: tuple[Node, ...]
    options: tuple[Option, ...]

    @property
    def finished(self) -> bool:
        return not self.nodes and not self.options


def report(conf: cfg.ConfigOpts, nodes: Iterable[Any]) -> Report:
    """Return what is left of us in the nodes and in the configuration."""
    found = (_node(node) for node in nodes)
    return Report(
        tuple(node for node in found if node is not None),
        tuple(_options(conf)),
    )


def as_text(left: Report) -> str:
    """Return the report as the steps that a person takes."""
    if left.finished:
        return (
            'Nothing is ours any more. Stop and disable zsbm-netboot, then '
            'uninstall zsbm-ironic.'
        )
    lines = [f'1. Nodes that use something of ours: {len(left.nodes)}']
    for node in left.nodes:
        lines.append(
            f'   {node.name} ({node.state}): {", ".join(node.fields)}'
        )
        lines += [f'     {command}' for command in node.commands]
        if node.note:
            lines.append(f'     {node.note}')
    lines.append(
        f'2. Options that name something of ours: {len(left.options)}'
    )
    for option in left.options:
        lines.append(f'   {option.name} = {option.value}')
        lines.append(f'     set it to: {option.afterwards}')
    lines += [
        '3. Restart ironic-conductor and see that it starts.',
        '4. Stop and disable zsbm-netboot; remove the group [zsbm_netboot].',
        '5. Uninstall zsbm-ironic. Not before: with zsbm enabled and not',
        '   installed the conductor refuses to start.',
    ]
    return '\n'.join(lines)


def as_data(left: Report) -> dict[str, Any]:
    """Return the report for JSON."""
    return {**dataclasses.asdict(left), 'finished': left.finished}


def _node(node: Any) -> Node | None:
    fields = []
    unset = []
    if node.driver == wanted.HARDWARE_TYPE:
        fields.append(f'driver={node.driver}')
    for interface in wanted.INTERFACES:
        value = getattr(node, f'{interface}_interface', None)
        if value in wanted.ours(interface):
            fields.append(f'{interface}_interface={value}')
            unset.append(interface)
    if not fields:
        return None
    name = node.name or node.id
    state = node.provision_state
    commands, note = _move(node, name, unset)
    return Node(name, state, tuple(fields), commands, note)


def _move(
    node: Any, name: str, unset: list[str]
) -> tuple[tuple[str, ...], str]:
    """Return (commands that move a node, what to know about it)."""
    state = node.provision_state
    if state not in (*MOVABLE, 'active'):
        return (), f'It is {state}: bring it to available or active first.'
    if node.driver != wanted.HARDWARE_TYPE:
        words = ' '.join(f'--{interface}-interface' for interface in unset)
        return (f'openstack baremetal node unset {name} {words}',), ''
    target = next(
        (
            driver
            for key, driver in TYPE_OF_PROTOCOL
            if node.driver_info.get(key)
        ),
        None,
    )
    if target is None:
        return (), (
            'It has neither redfish_address nor ipmi_address: run '
            f'`openstack baremetal node manage {name}` first, which fills '
            'them.'
        )
    move = (
        f'openstack baremetal node set {name} --driver {target} '
        '--reset-interfaces'
    )
    if state != 'active' or node.is_maintenance:
        return (move,), ''
    return (
        f'openstack baremetal node maintenance set {name}',
        move,
        f'openstack baremetal node maintenance unset {name}',
    ), 'Its instance runs on.'


def _options(conf: cfg.ConfigOpts) -> Iterable[Option]:
    lists: dict[str, tuple[str, ...]] = {
        'enabled_hardware_types': (wanted.HARDWARE_TYPE,)
    }
    for interface in wanted.INTERFACES:
        lists[wanted.enabled_option(interface)] = wanted.ours(interface)
    for name, ours in lists.items():
        present = getattr(conf, name) or []
        rest = [one for one in present if one not in ours]
        if rest != present:
            yield Option(
                f'[DEFAULT]{name}',
                ','.join(present),
                ','.join(rest) or '(take the line out)',
            )
    for interface in wanted.INTERFACES:
        name = f'default_{interface}_interface'
        value = getattr(conf, name)
        if value in wanted.ours(interface):
            yield Option(f'[DEFAULT]{name}', value, '(take the line out)')
    if conf.dhcp.dhcp_provider == 'zsbm':
        yield Option('[dhcp]dhcp_provider', 'zsbm', 'neutron, dnsmasq or none')
