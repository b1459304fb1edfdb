# SPDX-License-Identifier: Apache-2.0
"""What both of our network interfaces add to upstream's: look, wait, explain.

Upstream puts a server into a network by telling Neutron, and goes on. Here
settings are held against each other before anything is touched, a port is
waited for until it is bound, and what is wrong is said with its remedy. A
failed try leaves nothing of itself.

`Checked` comes before upstream's class in the bases of `flat` and `vpc`, whose
file and this one are the only ones of the room that import ironic.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import neutron as ironic_neutron
from ironic.conf import CONF as IRONIC
from ironic.drivers.modules import inspect_utils
from keystoneauth1 import exceptions as auth
from openstack import exceptions as sdk
from oslo_log import log
from oslo_utils import strutils

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers.translate import translated
from zsbm_ironic.network import (
    binding,
    exception,
    finding,
    metadata,
    neutron,
    plan,
    readback,
    sight,
    wiring,
)

LOG = log.getLogger(__name__)

Task = Any
Purpose = wiring.Purpose


class Checked:
    """Looks before, and waits after, each change of upstream's interface."""

    # Whether a port has to say which port of a switch it is at.
    needs_link = True
    # Networks that have ports of their own beside those of the tenant.
    own_ports = frozenset(Purpose) - {Purpose.TENANT}

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

        :param network: name or id of one that it is not in yet, judged in
            place of the tenant's.
        """
        with _client(task) as client:
            found = plan.judge(
                self._situation(task, client, frozenset(Purpose), network)
            )
            ramdisk = self.ramdisk_network(task, Purpose.INSPECTION)
        nics = [nic_of(task.node, port) for port in task.ports]
        found += _read_back([readback.Expected(nic) for nic in nics])
        told = self.inspected(task)
        return found + sight.judge(nics, told, network=ramdisk)

    def inspected(self, task: Task) -> sight.Told:
        """Return what the server saw at its last inspection."""
        return sight.read(_inspected(task))

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
        nics = [nic_of(task.node, port) for port in task.ports]
        return readback.silent(
            [nic for nic in nics if nic.boots],
            self.ramdisk_network(task, purpose),
            ask,
        )

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
        self._require(task, frozenset({Purpose.TENANT}), asks=True)
        with _undone(lambda: self.unconfigure_tenant_networks(task)):  # type: ignore[attr-defined]
            super().configure_tenant_networks(task)  # type: ignore[misc]
            self._await(task, Purpose.TENANT)

    @translated
    def vif_attach(self, task: Task, vif_info: dict[str, Any]) -> None:
        """Give a port of the node to a port of Neutron.

        A node that has its OS is in the new network when this returns.
        """
        vif = vif_info['id']
        with _client(task) as client:
            state = neutron.binding(client, vif)
            if state:
                self._refuse(
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
        with self._wired_alone(task):
            super().vif_attach(task, vif_info)  # type: ignore[misc]
        if task.node.provision_state == 'active':
            with _undone(lambda: self.vif_detach(task, vif)):  # type: ignore[attr-defined]
                self._await(task, Purpose.TENANT, vif)

    def _enter(
        self, task: Task, purpose: Purpose, enter: Callable[[Task], Any]
    ) -> Any:
        self._require(task, frozenset({purpose}), asks=True)
        with _undone(lambda: getattr(self, f'remove_{purpose}_network')(task)):
            result = enter(task)
            self._await(task, purpose)
            return result

    def _require(
        self,
        task: Task,
        purposes: frozenset[Purpose],
        *,
        asks: bool = False,
    ) -> None:
        with _client(task) as client:
            situation = self._situation(task, client, purposes)
        found = plan.judge(situation)
        self._refuse(task, found)
        if asks:
            self._refuse(
                task,
                _read_back([readback.Expected(nic) for nic in situation.nics]),
            )

    def _refuse(self, task: Task, findings: list[finding.Finding]) -> None:
        bad = finding.wrong(findings)
        if bad:
            raise exception.NetworkWrong(
                node=task.node.name or task.node.uuid,
                findings=finding.told(bad),
            )

    def _await(self, task: Task, purpose: Purpose, vif: str = '') -> None:
        """Wait for what was just entered, and ask the switch for it.

        :param vif: port of Neutron that is waited for; empty: all that the
            node has for this purpose.
        """
        if not _has_to_be_bound(task):
            return
        own = purpose in self.own_ports
        entered = [
            (port, found)
            for port, found in _vifs(task, purpose if own else Purpose.TENANT)
            if vif in ('', found) and _links(task, port, self.needs_link)
        ]

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
                [found for _, found in entered],
                limit_s=CONF.zsbm_network.binding_timeout_s,
                explain=explain,
            )
            expected = [
                readback.Expected(
                    nic,
                    neutron.network_of_port(client, found),
                    frozenset(
                        one.number for one in neutron.subports(client, found)
                    ),
                )
                for port, found in entered
                for nic in _links(task, port, needed=False)
            ]
        self._refuse(task, _read_back(expected))

    @contextlib.contextmanager
    def _wired_alone(self, task: Task) -> Iterator[None]:
        """Let upstream choose among ports that Neutron can do something for.

        It does so itself, but for the interface named `neutron` alone.
        """
        if not self.needs_link:
            yield
            return
        every = task.ports
        task.ports = [port for port in every if nic_of(task.node, port).wired]
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
        nics = tuple(nic_of(task.node, port) for port in task.ports)
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
            others=_at_the_same_places(task, nics),
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
        if tenant:
            yield plan.Entry(Purpose.TENANT, tenant, find(tenant))
        elif purposes - self.own_ports:
            for _, vif in _vifs(task, Purpose.TENANT):
                yield plan.Entry(
                    Purpose.TENANT, vif, neutron.network_of_port(client, vif)
                )


@contextlib.contextmanager
def _undone(undo: Callable[[], object]) -> Iterator[None]:
    """Undo what was begun when it fails; the first error is what is told."""
    try:
        yield
    except Exception:
        try:
            undo()
        except Exception:
            LOG.exception('A network is left half entered')
        raise


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


def _read_back(expected: list[readback.Expected]) -> list[finding.Finding]:
    ask = _ask()
    return readback.look(expected, ask) if ask else []


def _inspected(task: Task) -> dict[str, Any]:
    """Return what the ramdisk told of the network at the last inspection."""
    try:
        data = inspect_utils.get_inspection_data(task.node, task.context)
    except ironic_exception.NodeInventoryNotFound:
        return {}
    plugins = data.get('plugin_data') or {}
    heard = plugins.get('lldp_raw') or {}
    nics = (data.get('inventory') or {}).get('interfaces') or ()
    return {
        **(plugins.get(sight.KEY) or {}),
        'interfaces': [
            {**one, 'lldp': heard.get(one.get('name')) or one.get('lldp')}
            for one in nics
        ],
    }


def _has_to_be_bound(task: Task) -> bool:
    """Read the setting of the node, else of the cloud, as upstream does."""
    return strutils.bool_from_string(
        task.node.driver_info.get(
            'fail_on_binding_failure',
            IRONIC.neutron.fail_on_port_binding_failure,
        ),
        strict=False,
    )


def _vifs(task: Task, purpose: Purpose) -> list[tuple[Any, str]]:
    """Return ports and portgroups of the node with their ports of Neutron."""
    key = f'{purpose}_vif_port_id'
    return [
        (one, one.internal_info[key])
        for one in (*task.ports, *task.portgroups)
        if one.internal_info.get(key)
    ]


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


def _links(task: Task, one: Any, needed: bool) -> list[wiring.Nic]:
    """Return the cables of a port or portgroup.

    :param needed: also those of which nobody says where they end.
    """
    members = (
        [port for port in task.ports if port.portgroup_id == one.id]
        if isinstance(one, objects.Portgroup)
        else [one]
    )
    nics = [nic_of(task.node, port) for port in members]
    return [nic for nic in nics if needed or nic.wired]


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


def _at_the_same_places(
    task: Task, nics: Iterable[wiring.Nic]
) -> tuple[wiring.Nic, ...]:
    """Return ports of other nodes that are said to be where these are."""
    places = {(nic.switch, nic.port_id) for nic in nics if nic.wired}
    found = []
    for port in objects.Port.list(task.context) if places else ():
        link = port.local_link_connection or {}
        switch = link.get('switch_info') or link.get('switch_id')
        if port.node_id == task.node.id:
            continue
        if (switch, link.get('port_id')) in places:
            node = objects.Node.get_by_id(task.context, port.node_id)
            found.append(
                wiring.Nic(
                    port.address.lower(),
                    port.uuid,
                    node.name or node.uuid,
                    str(switch),
                    '',
                    str(link['port_id']),
                )
            )
    return tuple(found)
