# SPDX-License-Identifier: Apache-2.0
"""Network interface `zsbm-vlan`: servers in VLANs, where no Neutron is.

Upstream's `ironic-networking`, that looks before and reads back after (see
`checked`): the service of that name sets a VLAN for each purpose at the port
of the switch, that of the user as `extra.switchport` of the port says.
"""

from collections.abc import Iterator
from typing import Any

from ironic.conf import CONF as IRONIC
from ironic.drivers.modules.network import (
    ironic_networking,
    switchport_config,
)
from ironic.networking import utils as networking

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.drivers import told_ports
from zsbm_ironic.network import (
    checked,
    finding,
    plan,
    readback,
    vlans,
    wiring,
)
from zsbm_ironic.network.checked import Purpose, Task
from zsbm_ironic.network.switches import base


class ZsbmVlanNetwork(checked.Checked, ironic_networking.IronicNetworking):
    """Each network is a VLAN that ironic-networking sets."""

    def judged(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
    ) -> list[finding.Finding]:
        """Hold the settings of a node's VLANs against each other.

        :param network: number of a VLAN, in place of the tenant's.
        :raises InvalidParameterValue: a setting cannot be read.
        """
        nics = tuple(checked.nics_of(task))
        situation = plan.Situation(
            task.node.name or task.node.uuid,
            nics,
            (),
            others=checked.others_there(task, nics),
            ports_come=told_ports.come(task),
        )
        return [
            *plan.judge_ports(situation),
            *vlans.judge(
                self._wanted(task, purposes, network),
                _allowed(),
            ),
        ]

    def to_enter(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
    ) -> list[readback.Expected]:
        """Return the ports of a node, and the VLANs they are to enter.

        :param network: see `judged`.
        """
        wanted = tuple(self._wanted(task, purposes, network))
        return [
            readback.Expected(
                nic,
                to_enter=tuple(
                    one.network
                    for one in wanted
                    if one.network and one.nic == nic
                ),
            )
            for nic in checked.nics_of(task)
        ]

    def ramdisk_network(
        self, task: Task, purpose: Purpose = Purpose.PROVISIONING
    ) -> wiring.Network | None:
        """Return the VLAN that the ramdisk of a node is in."""
        wanted = self._wanted(task, frozenset({purpose}))
        return next(
            (one.network for one in wanted if one.nic.boots and one.network),
            None,
        )

    def entered(
        self, task: Task, purpose: Purpose, vif: str = ''
    ) -> list[readback.Expected]:
        """Return what was set: ironic-networking has answered when it is."""
        del vif
        return self.present(task, purpose)

    def present(self, task: Task, purpose: Purpose) -> list[readback.Expected]:
        """Return what switches should have of the VLAN a node is in."""
        return [
            readback.Expected(one.nic, one.network, one.tagged)
            for one in self._wanted(task, frozenset({purpose}))
            if one.nic.wired and one.said
        ]

    def _wanted(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
    ) -> Iterator[vlans.Wanted]:
        for purpose in sorted(purposes):
            for port in task.ports:
                nic = checked.nic_of(task.node, port)
                if purpose is Purpose.TENANT and network:
                    yield _asked(nic, network)
                    continue
                setting, said = self._said(task, purpose, port)
                yield vlans.Wanted(
                    purpose,
                    nic,
                    setting,
                    said and said.native_vlan,
                    frozenset((said and said.allowed_vlans) or ())
                    - {said and said.native_vlan},
                )

    def _said(self, task: Task, purpose: Purpose, port: Any) -> Any:
        """Return where the VLAN of a port is set, and what is set there."""
        own = f'extra.switchport of port {port.uuid}'
        said = None
        if purpose is not Purpose.TENANT:
            said = ironic_compat.vlan_of_purpose(self, task, purpose)
            own = f'[ironic_networking]{purpose}_network'
        if said is None or not said.is_valid:
            said = switchport_config.SwitchPortConfig.from_switchport(
                port.extra.get('switchport') or {}
            )
        return own, said if said and said.is_valid else None


def _allowed() -> frozenset[int] | None:
    ranges = IRONIC.ironic_networking.allowed_vlans
    if ranges is None:
        return None
    return frozenset(networking.parse_vlan_ranges(ranges))


def _asked(nic: wiring.Nic, number: str) -> vlans.Wanted:
    # A word that is no number is no VLAN either.
    vlan = base.vlan_or_none(number) or 0
    return vlans.Wanted(Purpose.TENANT, nic, '--network', vlan)
