# SPDX-License-Identifier: Apache-2.0
"""What the periodic task of the boot interfaces does for a whole conductor.

Called by `boot` alone. Gathers the ports of the nodes that are mapped to this
conductor, whatever their boot interface, and has desired state follow them.
Of nodes that wait for their ramdisk it learns the boot mode, and their history
is told what is in the way, by their switch where nobody hears them, or what
was lost when this conductor died.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_utils
from ironic.drivers.modules.network import common as network_common
from oslo_log import log as logging

from zsbm_ironic.common import exception, ironic_compat
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import boot_mode, dhcp, restart_watch, unheard
from zsbm_ironic.netboot import reconcile, status, timeline

LOG = logging.getLogger(__name__)

# A node in these waits for an agent that has to boot first.
WAITING = (
    states.INSPECTWAIT,
    states.CLEANWAIT,
    states.DEPLOYWAIT,
    states.RESCUEWAIT,
    states.SERVICEWAIT,
)
# Of driver_internal_info: when a node was told what is in its way, so that
# its history gets one line of each incident.
TOLD = 'zsbm_netboot_told'

FIELDS = (
    'id',
    'provision_state',
    'network_interface',
    'properties',
    'driver_info',
    'driver_internal_info',
    'provision_updated_at',
    'last_error',
)


class _Node(NamedTuple):
    uuid: str
    driver: str
    conductor_group: str
    id: int
    state: str
    network: str
    properties: dict[str, Any]
    driver_info: dict[str, Any]
    driver_internal_info: dict[str, Any]
    provision_updated_at: Any
    last_error: str | None


class BootWatch:
    """One look at all nodes of a conductor.

    :param own: the provider of this conductor.
    """

    def __init__(self, own: dhcp.ZsbmDHCP, context: Any) -> None:
        self._own = own
        self._context = context

    def run(self, manager: Any) -> None:
        """Take the look.

        :param manager: the conductor's manager, which knows its nodes.
        """
        read_at = time.time()
        rows = manager.iter_nodes(fields=list(FIELDS))
        nodes = {one.id: one for one in (_Node(*row) for row in rows)}
        if ironic_compat.is_shutting_down(manager):
            # The list of nodes was cut short then.
            return
        groups = {one.id: one for one in objects.Portgroup.list(self._context)}
        known = [
            port
            for port in objects.Port.list(self._context)
            if port.node_id in nodes and port.pxe_enabled
        ]
        self._assign(known, nodes)
        ports = {
            port.address: self._facts(port, nodes[port.node_id], groups)
            for port in known
        }
        try:
            self._own.state.beat()
            self._own.reconcile(ports, read_at)
        except OSError as exc:
            LOG.error('Desired state cannot be kept: %s', exc)
        waiting = [one for one in nodes.values() if one.state in WAITING]
        for node in waiting:
            macs = [mac for mac, one in ports.items() if one.node == node.uuid]
            self._learn(node, macs)
        self._tell(waiting)
        self._look_for(waiting, ports)
        for node in nodes.values():
            if restart_watch.was_lost(node.state, node.last_error):
                with self._locked(node.uuid, 'telling what it lost') as task:
                    if task is not None:
                        restart_watch.tell(task.node)

    def _learn(self, node: _Node, macs: list[str]) -> None:
        """Write down the boot mode, where only DHCP can tell it."""
        if node.driver != 'zsbm' or not boot_mode.is_unknown(
            node.properties, node.driver_info
        ):
            return
        seen = status.Status(CONF.zsbm_netboot.status_dir)
        mode = boot_mode.told_by(
            timeline.merge(*(seen.events(mac) for mac in macs))
        )
        if mode is None:
            return
        with self._locked(node.uuid, 'learning its boot mode') as task:
            if task is not None:
                boot_mode.learn(task.node, mode)

    @contextlib.contextmanager
    def _locked(
        self, node: str, purpose: str
    ) -> Iterator[task_manager.TaskManager | None]:
        """Lock a node, or yield None where somebody else has: not now."""
        try:
            task = task_manager.acquire(
                self._context, node, shared=False, purpose=purpose
            )
        except (
            ironic_exception.NodeLocked,
            ironic_exception.NodeNotFound,
        ):
            LOG.debug('Node %s is busy: %s is put off.', node, purpose)
            yield None
            return
        with task:
            yield task

    def _facts(
        self, port: Any, node: _Node, groups: dict[int, Any]
    ) -> reconcile.PortFacts:
        pooled = node.network in dhcp.WITHOUT_VIF
        vif = None
        if not pooled:
            vif = _bound_vif(port) or _bound_vif(groups.get(port.portgroup_id))
        return reconcile.PortFacts(
            mac=port.address,
            node=node.uuid,
            port=port.uuid,
            addresses=_addresses(port) if pooled else (),
            vif=vif,
            client_id=dhcp.client_id(port),
            may_boot=node.state not in dhcp.WITHOUT_BOOT,
        )

    def _assign(self, ports: Iterable[Any], nodes: dict[int, _Node]) -> None:
        """Give addresses to ports that have none, under their node's lock."""
        missing: dict[str, dict[str, Any]] = {}
        for port in ports:
            node = nodes[port.node_id]
            if node.network in dhcp.WITHOUT_VIF and not _addresses(port):
                missing.setdefault(node.uuid, {})[port.uuid] = port
        for uuid, some in missing.items():
            with self._locked(uuid, 'assigning addresses') as task:
                if task is None:
                    continue
                fresh = [port for port in task.ports if port.uuid in some]
                try:
                    for port, _ in self._own.assign_each(self._context, fresh):
                        some[port.uuid].internal_info = port.internal_info
                except exception.ZsbmError as exc:
                    LOG.warning('Node %s: %s', uuid, exc)
                    # The next node would not fare better.
                    return

    def _tell(self, waiting: list[_Node]) -> None:
        """Put what is in the way of booting into the nodes' history."""
        obstacle = self._obstacle()
        if obstacle is None:
            return
        for node in waiting:
            info = node.driver_internal_info
            mark = f'{node.provision_updated_at} {type(obstacle).__name__}'
            # With an agent that is up, nothing is in its way any more.
            if info.get('agent_url') or info.get(TOLD) == mark:
                continue
            with self._locked(node.uuid, 'telling what stops it') as task:
                if task is not None:
                    _tell_one(task, obstacle, mark)

    def _look_for(
        self,
        waiting: Iterable[_Node],
        ports: dict[str, reconcile.PortFacts],
    ) -> None:
        """Ask the switch of one that is not heard; the next has its turn."""
        seen = status.Status(CONF.zsbm_netboot.status_dir)
        for node in waiting:
            if not CONF.zsbm_network.switch_settings:
                return
            heard = [
                event.timestamp
                for mac, port in ports.items()
                if port.node == node.uuid
                for event in seen.events(mac)
            ]
            if not unheard.is_due(
                node.driver_internal_info, node.provision_updated_at, heard
            ):
                continue
            with self._locked(node.uuid, 'asking its switch') as task:
                if task is not None and task.node.provision_state in WAITING:
                    unheard.look(task)
                    return

    def _obstacle(self) -> exception.ZsbmError | None:
        try:
            heartbeat = self._own.check_service()
        except exception.ZsbmError as exc:
            return exc
        if not heartbeat.foreign_servers:
            return None
        return exception.ForeignDhcpServer(
            servers=', '.join(str(one) for one in heartbeat.foreign_servers)
        )


def _addresses(port: Any) -> tuple[str, ...]:
    return tuple(port.internal_info.get(dhcp.ADDRESSES) or ())


def _bound_vif(port: Any) -> str | None:
    if port is None:
        return None
    vif: str | None = network_common.VIFPortIDMixin().get_current_vif(
        None, port
    )
    return vif


def _tell_one(
    task: task_manager.TaskManager, obstacle: exception.ZsbmError, mark: str
) -> None:
    node = task.node
    if node.provision_state not in WAITING:
        return
    text = f'Node {node.name or node.uuid} waits for its ramdisk. {obstacle}'
    LOG.error('%s', text)
    conductor_utils.node_history_record(
        node,
        event=text,
        event_type=node.provision_state,
        # Another server may be harmless to this boot; no server is not.
        error=not isinstance(obstacle, exception.ForeignDhcpServer),
    )
    node.set_driver_internal_info(TOLD, mark)
    node.save()
