# SPDX-License-Identifier: Apache-2.0
"""What each of our network interfaces adds to upstream's: look, wait, explain.

Upstream puts a server into a network, and goes on. Here settings are held
against each other before anything is touched, what was changed is waited for
and read back from the switch, and what is wrong is said with its remedy. A
failed try leaves nothing of itself.

`Checked` comes before upstream's class in the bases of each interface; what is
different with Neutron is in `by_neutron`, without it in `vlan`.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.drivers.modules import inspect_utils
from oslo_log import log

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers.translate import translated
from zsbm_ironic.network import (
    exception,
    finding,
    metadata,
    readback,
    sight,
    wiring,
)

LOG = log.getLogger(__name__)

Task = Any
Purpose = wiring.Purpose
# What a node is in its network for, in states that last.
PURPOSES = {
    states.ACTIVE: Purpose.TENANT,
    states.CLEANWAIT: Purpose.CLEANING,
    states.DEPLOYWAIT: Purpose.PROVISIONING,
    states.INSPECTWAIT: Purpose.INSPECTION,
    states.RESCUE: Purpose.TENANT,
    states.RESCUEWAIT: Purpose.RESCUING,
    states.SERVICEWAIT: Purpose.SERVICING,
}


class Checked:
    """Looks before, and waits after, each change of upstream's interface."""

    def judged(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
    ) -> list[finding.Finding]:
        """Hold the settings of a node's networks against each other.

        :param network: one that it is not in yet, in place of the tenant's.
        """
        raise NotImplementedError

    def ramdisk_network(
        self, task: Task, purpose: Purpose = Purpose.PROVISIONING
    ) -> wiring.Network | None:
        """Return the network that the ramdisk of a node is in."""
        raise NotImplementedError

    def to_enter(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
    ) -> list[readback.Expected]:
        """Return the ports of a node, and the networks they are to enter.

        :param network: see `judged`.
        """
        raise NotImplementedError

    def entered(
        self, task: Task, purpose: Purpose, vif: str = ''
    ) -> list[readback.Expected]:
        """Wait until a network is entered; return what switches should have.

        :param vif: the tenant's one that is meant; empty: all of them.
        :raises ZsbmError: it is not, in time.
        """
        raise NotImplementedError

    def present(self, task: Task, purpose: Purpose) -> list[readback.Expected]:
        """Return what switches should have of the network a node is in."""
        raise NotImplementedError

    def bound(self, task: Task, purpose: Purpose) -> list[finding.Finding]:
        """Return whether a node was put into the network that it is in."""
        del task, purpose
        return []

    def completed(self, task: Task, data: metadata.Data) -> metadata.Data:
        """Return network_data.json of a node's tenant, with what it lacks.

        :param data: as Nova or Ironic made it.
        """
        del task
        return data

    @translated
    def validate(self, task: Task) -> None:
        """Check settings against Neutron; no switch is asked.

        Not while they are mended: what is wrong now must not keep anybody
        from it.

        :raises InvalidParameterValue: a server would not reach its networks.
        """
        super().validate(task)  # type: ignore[misc]
        if not ironic_compat.is_mending_ports(task):
            self._require(task, frozenset(Purpose))

    def examine(
        self, task: Task, network: str | None = None
    ) -> list[finding.Finding]:
        """Return all that can be said of the networks of a node.

        Of what the server itself saw, that of its last inspection.

        :param network: see `judged`.
        """
        purpose = PURPOSES.get(task.node.provision_state)
        return [
            *self.judged(task, frozenset(Purpose), network),
            *(self.bound(task, purpose) if purpose else ()),
            *self._switches(task, frozenset(Purpose), network, now=purpose),
            *sight.judge(
                nics_of(task),
                self.inspected(task),
                network=self.ramdisk_network(task, Purpose.INSPECTION),
            ),
        ]

    def inspected(self, task: Task) -> sight.Told:
        """Return what the server saw at its last inspection."""
        try:
            data = inspect_utils.get_inspection_data(task.node, task.context)
        except ironic_exception.NodeInventoryNotFound:
            return sight.Told()
        return sight.inspected(data)

    def why_silent(
        self, task: Task, purpose: Purpose
    ) -> list[finding.Finding]:
        """Return what switches tell of a server that nobody hears.

        :param purpose: what its ramdisk is waited for.
        :raises ZsbmError: a switch that answered does so no more.
        """
        ask = _ask()
        if ask is None:
            return []
        network = self.ramdisk_network(task, purpose)
        expected = [
            readback.Expected(nic, network)
            for nic in nics_of(task)
            if nic.boots
        ]
        return readback.silent(_with_mates(task, expected), ask)

    @translated
    def add_provisioning_network(self, task: Task) -> Any:
        """Put the node where it is deployed; wait until it is there."""
        return self._enter(
            task,
            Purpose.PROVISIONING,
            super().add_provisioning_network,  # type: ignore[misc]
        )

    @translated
    def add_cleaning_network(self, task: Task) -> Any:
        """Put the node where it is cleaned; wait until it is there."""
        return self._enter(
            task,
            Purpose.CLEANING,
            super().add_cleaning_network,  # type: ignore[misc]
        )

    @translated
    def add_inspection_network(self, task: Task) -> Any:
        """Put the node where it is inspected; wait until it is there."""
        return self._enter(
            task,
            Purpose.INSPECTION,
            super().add_inspection_network,  # type: ignore[misc]
        )

    @translated
    def add_rescuing_network(self, task: Task) -> Any:
        """Put the node where it is rescued; wait until it is there."""
        return self._enter(
            task,
            Purpose.RESCUING,
            super().add_rescuing_network,  # type: ignore[misc]
        )

    @translated
    def add_servicing_network(self, task: Task) -> Any:
        """Put the node where it is serviced; wait until it is there."""
        return self._enter(
            task,
            Purpose.SERVICING,
            super().add_servicing_network,  # type: ignore[misc]
        )

    @translated
    def configure_tenant_networks(self, task: Task) -> None:
        """Put the node into the networks of its user; wait until it is."""
        self._enter(
            task,
            Purpose.TENANT,
            super().configure_tenant_networks,  # type: ignore[misc]
        )

    def _enter(
        self, task: Task, purpose: Purpose, enter: Callable[[Task], Any]
    ) -> Any:
        self._require(task, frozenset({purpose}), asks=True)
        leave = (
            'unconfigure_tenant_networks'
            if purpose is Purpose.TENANT
            else f'remove_{purpose}_network'
        )
        with undone(lambda: getattr(self, leave)(task)):
            result = enter(task)
            self._see(task, purpose)
            return result

    def _switches(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
        now: Purpose | None = None,
    ) -> list[finding.Finding]:
        """Return what switches tell of ports before they enter networks.

        :param now: what the node is in a network for; None: that one is not
            looked at.
        """
        ask = _ask()
        if ask is None:
            return []
        present = {
            one.nic.address: one
            for one in (self.present(task, now) if now else ())
        }
        expected = [
            dataclasses.replace(
                present.get(one.nic.address, one), to_enter=one.to_enter
            )
            for one in self.to_enter(task, purposes, network)
        ]
        return readback.look(_with_mates(task, expected), ask)

    def _see(self, task: Task, purpose: Purpose, vif: str = '') -> None:
        expected = self.entered(task, purpose, vif)
        ask = _ask()
        if ask:
            refuse(task, readback.look(_with_mates(task, expected), ask))

    def _require(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        *,
        asks: bool = False,
    ) -> None:
        refuse(task, self.judged(task, purposes))
        if asks:
            refuse(task, self._switches(task, purposes))


def refuse(task: Task, findings: list[finding.Finding]) -> None:
    """End it where something will not work.

    :raises NetworkWrong: with all that is wrong.
    """
    bad = finding.wrong(findings)
    if bad:
        raise exception.NetworkWrong(
            node=task.node.name or task.node.uuid, findings=finding.told(bad)
        )


@contextlib.contextmanager
def undone(undo: Callable[[], object]) -> Iterator[None]:
    """Undo what was begun when it fails; the first error is what is told."""
    try:
        yield
    except Exception:
        try:
            undo()
        except Exception:
            LOG.exception('A network is left half entered')
        raise


def _ask() -> readback.Ask | None:
    """Return what logs in to switches; None: the conductor is not told how."""
    options = CONF.zsbm_network
    if not options.switch_settings:
        return None
    return readback.Asking(
        tuple(options.switch_settings),
        options.switch_known_hosts,
        options.switch_timeout_s,
    )


def _with_mates(
    task: Task, expected: Iterable[readback.Expected]
) -> list[readback.Expected]:
    """Return the same, with the other ports of the bond of each."""
    groups = {
        port.address.lower(): port.portgroup_id
        for port in task.ports
        if port.portgroup_id
    }
    nics = [nic for nic in nics_of(task) if nic.address in groups]
    return [
        dataclasses.replace(
            one,
            mates=tuple(
                nic
                for nic in nics
                if nic.address != one.nic.address
                and groups[nic.address] == groups.get(one.nic.address)
            ),
        )
        for one in expected
    ]


def nics_of(task: Task) -> list[wiring.Nic]:
    """Return the ports of a node as values."""
    return [nic_of(task.node, port) for port in task.ports]


def nic_of(node: objects.Node, port: objects.Port) -> wiring.Nic:
    """Return a port of a node as a value."""
    link = port.local_link_connection or {}
    return wiring.Nic(
        port.address.lower(),
        port.uuid,
        node.name or node.uuid,
        str(link.get('switch_info') or link.get('switch_id') or ''),
        str(link.get('switch_id') or ''),
        str(link.get('port_id') or ''),
        port.physical_network or '',
        bool(port.pxe_enabled),
    )


def others_there(
    task: Task, nics: Iterable[wiring.Nic]
) -> tuple[wiring.Nic, ...]:
    """Return ports of other nodes that are said to be where these are."""
    wired = [nic for nic in nics if nic.wired]
    found = []
    for port in objects.Port.list(task.context) if wired else ():
        if port.node_id == task.node.id:
            continue
        other = nic_of(task.node, port)
        if any(nic.is_at_place_of(other) for nic in wired):
            node = objects.Node.get_by_id(task.context, port.node_id)
            found.append(nic_of(node, port))
    return tuple(found)
