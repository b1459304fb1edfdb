# SPDX-License-Identifier: Apache-2.0
"""What the periodic task of the boot interfaces does for a whole conductor.

Called by `boot` alone. Gathers the ports of the nodes that are mapped to this
conductor, whatever their boot interface, has desired state follow them, and
tells the history of nodes that wait for their ramdisk what is in its way.
"""

import time
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_utils
from ironic.drivers.modules.network import common as network_common
from oslo_log import log as logging

from zsbm_ironic.common import exception, ironic_compat
from zsbm_ironic.drivers import dhcp
from zsbm_ironic.netboot import reconcile

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

FIELDS = ['id', 'provision_state', 'network_interface']


class BootWatch:
    """One look at all nodes of a conductor.

    :param own: the provider of this conductor.
    """

    def __init__(self, own: dhcp.ZsbmDHCP, context: Any) -> None:
        self._own = own
        self._context = context
        self._full = False

    def run(self, manager: Any) -> None:
        """Take the look.

        :param manager: the conductor's manager, which knows its nodes.
        """
        read_at = time.time()
        nodes = {
            row[3]: row for row in manager.iter_nodes(fields=list(FIELDS))
        }
        if ironic_compat.is_shutting_down(manager):
            # The list of nodes was cut short then.
            return
        groups = {one.id: one for one in objects.Portgroup.list(self._context)}
        ports = {
            port.address: self._facts(port, nodes[port.node_id], groups)
            for port in objects.Port.list(self._context)
            if port.node_id in nodes and port.pxe_enabled
        }
        try:
            self._own.reconcile(ports, read_at)
        except OSError as exc:
            LOG.error('Desired state cannot be kept: %s', exc)
        self._tell([row[0] for row in nodes.values() if row[4] in WAITING])

    def _facts(
        self, port: Any, node: Any, groups: dict[int, Any]
    ) -> reconcile.PortFacts:
        uuid, _driver, _group, _id, state, network = node
        pooled = network in dhcp.WITHOUT_VIF
        vif = None
        if not pooled:
            vif = _bound_vif(port) or _bound_vif(groups.get(port.portgroup_id))
        return reconcile.PortFacts(
            mac=port.address,
            node=uuid,
            port=port.uuid,
            addresses=self._addresses(port, uuid) if pooled else (),
            vif=vif,
            client_id=dhcp.client_id(port),
            may_boot=state not in dhcp.WITHOUT_BOOT,
        )

    def _addresses(self, port: Any, node: str) -> tuple[str, ...]:
        current = tuple(port.internal_info.get(dhcp.ADDRESSES) or ())
        if current or self._full:
            return current
        try:
            with task_manager.acquire(
                self._context,
                node,
                shared=False,
                purpose='assigning an address',
            ) as task:
                for fresh in task.ports:
                    if fresh.uuid == port.uuid:
                        return self._own.assign(self._context, fresh)
        except (
            ironic_exception.NodeLocked,
            ironic_exception.NodeNotFound,
        ):
            LOG.debug('Node %s: addresses are assigned later.', node)
        except exception.ZsbmError as exc:
            LOG.warning('Node %s: %s', node, exc)
            # The next port would not fare better: no lock is taken for it.
            self._full = True
        return ()

    def _tell(self, nodes: list[str]) -> None:
        """Put what is in the way of booting into the nodes' history."""
        obstacle = self._obstacle()
        if obstacle is None:
            return
        for uuid in nodes:
            try:
                with task_manager.acquire(
                    self._context,
                    uuid,
                    shared=False,
                    purpose='telling what is in the way of booting',
                ) as task:
                    _tell_one(task, obstacle)
            except (
                ironic_exception.NodeLocked,
                ironic_exception.NodeNotFound,
            ):
                LOG.debug('Node %s: told later.', uuid)

    def _obstacle(self) -> exception.ZsbmError | None:
        try:
            heartbeat = self._own.check_service()
        except exception.NetbootServiceDown as exc:
            return exc
        if not heartbeat.foreign_servers:
            return None
        return exception.ForeignDhcpServer(
            servers=', '.join(str(one) for one in heartbeat.foreign_servers)
        )


def _bound_vif(port: Any) -> str | None:
    if port is None:
        return None
    vif: str | None = network_common.VIFPortIDMixin().get_current_vif(
        None, port
    )
    return vif


def _tell_one(
    task: task_manager.TaskManager, obstacle: exception.ZsbmError
) -> None:
    node = task.node
    # The agent is up: nothing is in its way any more.
    if node.driver_internal_info.get('agent_url'):
        return
    mark = f'{node.provision_updated_at}: {obstacle.__class__.__name__}'
    if node.driver_internal_info.get(TOLD) == mark:
        return
    text = f'Node {node.name or node.uuid} waits for its ramdisk. {obstacle}'
    LOG.error('%s', text)
    conductor_utils.node_history_record(
        node,
        event=text,
        event_type=node.provision_state,
        # Another server may be harmless to this boot; no server is not.
        error=isinstance(obstacle, exception.NetbootServiceDown),
    )
    node.set_driver_internal_info(TOLD, mark)
    node.save()
