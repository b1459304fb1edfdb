# SPDX-License-Identifier: Apache-2.0
"""Networks of Neutron: looked up there, and entered by ports that are bound.

Base of `flat` and `vpc`. Upstream tells Neutron of a port and goes on, bound
or not; here it is waited for, and the reason is told.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from ironic import objects
from ironic.common import neutron as ironic_neutron
from ironic.common import states
from ironic.conf import CONF as IRONIC
from keystoneauth1 import exceptions as auth
from openstack import exceptions as sdk
from oslo_utils import strutils

from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import told_ports
from zsbm_ironic.drivers.translate import translated
from zsbm_ironic.network import (
    binding,
    checked,
    exception,
    finding,
    metadata,
    neutron,
    plan,
    readback,
    wiring,
)
from zsbm_ironic.network.checked import Purpose, Task

# Without these no node is deployed, nor cleaned.
NEEDED = frozenset({Purpose.CLEANING, Purpose.PROVISIONING})


class ByNeutron(checked.Checked):
    """Networks, ports and VLANs are those of Neutron."""

    # Whether a port has to say which port of a switch it is at.
    needs_link = True
    # Networks that have ports of their own beside those of the tenant.
    own_ports = frozenset(Purpose) - {Purpose.TENANT}

    def judged(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
    ) -> list[finding.Finding]:
        """Hold settings of Ironic and Neutron against each other.

        :param network: name or id.
        """
        with _client(task) as client:
            return plan.judge(self._situation(task, client, purposes, network))

    def to_enter(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        network: str | None = None,
    ) -> list[readback.Expected]:
        """Return the ports of a node, and the networks they are to enter.

        :param network: name or id.
        """
        nics = checked.nics_of(task)
        with _client(task) as client:
            entering = [
                (entry.network, entry.ports(nics))
                for entry in self._entries(task, client, purposes, network)
                if entry.network
            ]
        return [
            readback.Expected(
                nic,
                to_enter=tuple(
                    found for found, ports in entering if nic in ports
                ),
            )
            for nic in nics
        ]

    def ramdisk_network(
        self, task: Task, purpose: Purpose = Purpose.PROVISIONING
    ) -> wiring.Network | None:
        """Return the network that the ramdisk of a node is in."""
        with _client(task) as client:
            entries = self._entries(task, client, frozenset({purpose}), None)
            return next((entry.network for entry in entries), None)

    @translated
    def completed(self, task: Task, data: metadata.Data) -> metadata.Data:
        """Return network_data.json of a node's tenant, with what it lacks.

        :param data: as Nova or Ironic made it.
        """
        with _client(task) as client:
            return metadata.complete(
                data, _bonds(task), _subports(client, task)
            )

    @translated
    def vif_attach(self, task: Task, vif_info: dict[str, Any]) -> None:
        """Give a port of the node to a port of Neutron.

        A node that has its OS is in the new network when this returns.
        """
        vif = vif_info['id']
        with _client(task) as client:
            state = neutron.binding(client, vif)
            if state:
                checked.refuse(
                    task,
                    plan.judge(
                        self._situation(
                            task,
                            client,
                            frozenset({Purpose.TENANT}),
                            state.network,
                        )
                    ),
                )
        had = _has(task, vif)

        def undo() -> None:
            # Upstream writes it down before it plugs anything in.
            if not had and _has(task, vif):
                self.vif_detach(task, vif)  # type: ignore[attr-defined]

        with checked.undone(undo):
            with self._wired_alone(task):
                super().vif_attach(task, vif_info)  # type: ignore[misc]
            if task.node.provision_state == states.ACTIVE:
                self._see(task, Purpose.TENANT, vif)

    def entered(
        self, task: Task, purpose: Purpose, vif: str = ''
    ) -> list[readback.Expected]:
        """Wait until Neutron has bound what was just entered.

        :param vif: port of Neutron that is waited for; empty: all that the
            node has for this purpose.
        :raises PortNotBound: it is not, in time; or was not even made.
        """
        if purpose in self.own_ports:
            _require_made(task, purpose)
        if not _has_to_be_bound(task):
            return []

        def explain() -> str:
            found = plan.judge(
                self._situation(task, client, frozenset({purpose}))
            )
            return finding.told(
                one for one in found if one.state is not finding.State.OK
            )

        with _client(task) as client:
            binding.wait(
                client,
                [found for _, found in self._plugged(task, purpose, vif)],
                limit_s=CONF.zsbm_network.binding_timeout_s,
                explain=explain,
            )
        return self.present(task, purpose, vif)

    def present(
        self, task: Task, purpose: Purpose, vif: str = ''
    ) -> list[readback.Expected]:
        """Return what switches should have of the networks a node is in.

        :param vif: see `entered`.
        :returns: empty where the ports of the node need not be bound.
        """
        if not _has_to_be_bound(task):
            return []
        with _client(task) as client:
            return [
                readback.Expected(
                    nic,
                    neutron.network_of_port(client, found),
                    frozenset(
                        one.number for one in neutron.subports(client, found)
                    ),
                )
                for port, found in self._plugged(task, purpose, vif)
                for nic in _links(task, port, needed=False)
            ]

    def bound(self, task: Task, purpose: Purpose) -> list[finding.Finding]:
        """Return whether Neutron has bound the ports a node is there by."""
        with _client(task) as client:
            return [
                binding.judge(
                    (port.address or port.uuid).lower(),
                    found,
                    neutron.binding(client, found),
                    needed=_has_to_be_bound(task),
                )
                for port, found in self._plugged(task, purpose)
            ]

    def _plugged(
        self, task: Task, purpose: Purpose, vif: str = ''
    ) -> list[tuple[Any, str]]:
        """Return what is bound for a purpose; the tenant's, where it shares.

        :param vif: that one alone; empty: all.
        """
        own = purpose in self.own_ports
        return [
            (port, found)
            for port, found in _vifs(task, purpose if own else Purpose.TENANT)
            if vif in ('', found)
            and _links(task, port, needed=self.needs_link)
        ]

    @contextlib.contextmanager
    def _wired_alone(self, task: Task) -> Iterator[None]:
        """Let upstream choose among ports that Neutron can do something for.

        It does so itself, but for the interface named `neutron` alone.
        """
        if not self.needs_link:
            yield
            return
        every = task.ports
        task.ports = [
            port for port in every if checked.nic_of(task.node, port).wired
        ]
        try:
            if not task.ports:
                raise exception.PortNotWired
            yield
        finally:
            task.ports = every

    def _situation(
        self,
        task: Task,
        client: neutron.Client,
        purposes: frozenset[Purpose],
        tenant: str | None = None,
    ) -> plan.Situation:
        nics = tuple(checked.nics_of(task))
        entries = tuple(self._entries(task, client, purposes, tenant))
        overlays = {
            entry.network.id
            for entry in entries
            if entry.network and entry.network.is_overlay
        }
        return plan.Situation(
            task.node.name or task.node.uuid,
            nics,
            entries,
            others=checked.others_there(task, nics),
            bonds=_bonds(task),
            subports=_subports(client, task)
            if Purpose.TENANT in purposes
            else (),
            agents=(
                *neutron.node_agents(client, task.node.uuid),
                *(neutron.chassis(client) if overlays else ()),
            ),
            ranges=neutron.vlan_ranges(client),
            chassis_of={
                network: neutron.hosts_of(client, network)
                for network in overlays
            },
            ports_come=told_ports.come(task),
            needs_link=self.needs_link,
            we_lease=IRONIC.dhcp.dhcp_provider == 'zsbm',
        )

    def _entries(
        self,
        task: Task,
        client: neutron.Client,
        purposes: frozenset[Purpose],
        tenant: str | None,
    ) -> Iterator[plan.Entry]:
        # Purposes share a network more often than not.
        find = functools.cache(functools.partial(neutron.find_network, client))
        for purpose in sorted(purposes & self.own_ports):
            name = f'{purpose}_network'
            wanted = task.node.driver_info.get(name) or getattr(
                IRONIC.neutron, name
            )
            if wanted:
                yield plan.Entry(purpose, wanted, find(wanted))
            elif purpose in NEEDED:
                yield plan.Entry(purpose, '', None)
        if tenant:
            yield plan.Entry(Purpose.TENANT, tenant, find(tenant))
        elif purposes - self.own_ports:
            for port, vif in _vifs(task, Purpose.TENANT):
                yield plan.Entry(
                    Purpose.TENANT,
                    vif,
                    neutron.network_of_port(client, vif),
                    frozenset(
                        nic.address for nic in _links(task, port, needed=True)
                    ),
                )


@contextlib.contextmanager
def _client(task: Task) -> Iterator[neutron.Client]:
    try:
        with ironic_neutron.get_client(
            context=task.context, auth_from_config=True
        ) as client:
            yield client
    except (sdk.SDKException, auth.ClientException) as exc:
        raise exception.NeutronUnavailable(
            answer=str(exc).rstrip('.')
        ) from exc


def _has_to_be_bound(task: Task) -> bool:
    """Read the setting of the node, else of the cloud, as upstream does."""
    return strutils.bool_from_string(
        task.node.driver_info.get(
            'fail_on_binding_failure',
            IRONIC.neutron.fail_on_port_binding_failure,
        ),
        strict=False,
    )


def _key(purpose: Purpose) -> str:
    """Return what a port of Neutron is kept by in internal_info."""
    return f'{purpose}_vif_port_id'


def _vifs(task: Task, purpose: Purpose) -> list[tuple[Any, str]]:
    """Return ports and portgroups of the node with their ports of Neutron."""
    key = _key(purpose)
    return [
        (one, one.internal_info[key])
        for one in (*task.ports, *task.portgroups)
        if one.internal_info.get(key)
    ]


def _has(task: Task, vif: str) -> bool:
    """Say whether a port of the node has a port of Neutron of its user."""
    return any(found == vif for _, found in _vifs(task, Purpose.TENANT))


def _require_made(task: Task, purpose: Purpose) -> None:
    """Refuse a network that only some of the ports have entered.

    Upstream goes on with what Neutron made, and logs the rest.

    :raises PortNotBound: a port that the node may boot by is not in it.
    """
    for port in task.ports:
        if port.pxe_enabled and not port.internal_info.get(_key(purpose)):
            raise exception.PortNotBound(
                port=f'for {port.address}',
                why='it was not made',
                settings='The log of ironic-conductor has the answer that '
                'Neutron gave.',
            )


def _bonds(task: Task) -> tuple[wiring.Bond, ...]:
    vifs = {one.uuid: vif for one, vif in _vifs(task, Purpose.TENANT)}
    return tuple(
        wiring.Bond(
            one.name or one.uuid,
            vifs.get(one.uuid, ''),
            (one.address or '').lower(),
            one.mode or '',
            tuple(
                port.address.lower()
                for port in task.ports
                if port.portgroup_id == one.id
            ),
            one.properties or {},
        )
        for one in task.portgroups
    )


def _subports(
    client: neutron.Client, task: Task
) -> tuple[wiring.Subport, ...]:
    return tuple(
        one
        for _, vif in _vifs(task, Purpose.TENANT)
        for one in neutron.subports(client, vif)
    )


def places_of(task: Task, one: Any) -> list[dict[str, Any]]:
    """Return local_link_connection of a port, or of each of a portgroup."""
    return [
        port.local_link_connection
        for port in _members(task, one)
        if port.local_link_connection
    ]


def _links(task: Task, one: Any, *, needed: bool) -> list[wiring.Nic]:
    """Return the cables of a port or portgroup.

    :param needed: also those of which nobody says where they end.
    """
    nics = [checked.nic_of(task.node, port) for port in _members(task, one)]
    return [nic for nic in nics if needed or nic.wired]


def _members(task: Task, one: Any) -> list[Any]:
    if isinstance(one, objects.Portgroup):
        return [port for port in task.ports if port.portgroup_id == one.id]
    return [one]
