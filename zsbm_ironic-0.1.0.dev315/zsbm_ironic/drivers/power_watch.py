# SPDX-License-Identifier: Apache-2.0
"""Periodic tasks of the power interface: watch power, close sessions.

A part of the power interface, which every conductor with the type `zsbm` has
exactly once. Ironic's own loop takes a task and several questions for each
node each time; this one makes one query, asks the BMCs on their held sessions
and takes a task only for a node whose power is not what ironic believes.
"""

import concurrent.futures
import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import periodics, task_manager
from oslo_log import log

from zsbm_ironic.bmc import base, pool
from zsbm_ironic.common import exception, ironic_compat
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import access

LOG = log.getLogger(__name__)

TIDY_S = 30
# How long a round waits for slow BMCs, and how long a silent one is left be.
PATIENCE_S = 1.0
REST_S = 60.0
Answer = concurrent.futures.Future[str | None]
FIELDS = (
    'driver_info',
    'driver_internal_info',
    'power_interface',
    'power_state',
    'provision_state',
)
# Ironic does not sync power there, or nobody knows the protocol yet.
UNWATCHED_STATES = frozenset(
    {
        states.ENROLL,
        states.VERIFYING,
        states.ADOPTFAIL,
        states.DEPLOYWAIT,
        states.CLEANWAIT,
    }
)
STATES = {
    base.PowerState.ON: states.POWER_ON,
    base.PowerState.OFF: states.POWER_OFF,
}


@dataclasses.dataclass(frozen=True)
class _Node:
    """The row of the one query."""

    uuid: str
    driver: str
    conductor_group: str
    driver_info: dict[str, Any]
    driver_internal_info: dict[str, Any]
    power_interface: str | None
    power_state: str | None
    provision_state: str


class PowerWatchMixin:
    """Gives a power interface its periodic tasks."""

    def __init__(self) -> None:
        """Start with no suspicion and no thread."""
        super().__init__()
        self._suspects: dict[str, str] = {}
        self._asked: dict[str, Answer] = {}
        self._silent_until: dict[str, float] = {}
        self._asking: concurrent.futures.ThreadPoolExecutor | None = None

    @periodics.periodic(spacing=TIDY_S)
    def _tidy_sessions(self, manager: Any, context: Any) -> None:
        """Close idle sessions, and those of nodes that moved away."""
        mapped = manager.iter_nodes(fields=('power_interface',))
        sessions = pool.shared()
        sessions.keep_only({row[0] for row in mapped if row[3] == 'zsbm'})
        sessions.sweep()

    @periodics.periodic(
        spacing=lambda: CONF.zsbm_bmc.power_poll_s or 1,
        enabled=lambda: CONF.zsbm_bmc.power_poll_s > 0,
    )
    def _watch_power(self, manager: Any, context: Any) -> None:
        """Ask every BMC for its power; sync nodes that differ twice.

        Once may be a reset that is under way. A BMC that takes long is left
        to its thread, and its answer used in a later round.
        """
        rows = manager.iter_nodes(
            fields=FIELDS, filters={'maintenance': False, 'reserved': False}
        )
        nodes = {
            node.uuid: node
            for node in (_Node(*row) for row in rows)
            if node.power_interface == 'zsbm'
            and node.provision_state not in UNWATCHED_STATES
        }
        for uuid, seen in self._answers(nodes):
            if seen == nodes[uuid].power_state:
                self._suspects.pop(uuid, None)
            elif self._suspects.get(uuid) == seen:
                del self._suspects[uuid]
                _sync(manager, context, uuid)
            else:
                self._suspects[uuid] = seen

    def _answers(
        self, nodes: Mapping[str, _Node]
    ) -> Iterator[tuple[str, str]]:
        """Ask who is not being asked; yield what has been answered."""
        if self._asking is None:
            self._asking = concurrent.futures.ThreadPoolExecutor(
                CONF.zsbm_bmc.power_poll_workers, 'zsbm-power'
            )
        now = time.monotonic()
        for uuid, node in nodes.items():
            rested = now >= self._silent_until.get(uuid, 0.0)
            if uuid not in self._asked and rested:
                self._asked[uuid] = self._asking.submit(_power_of, node)
        concurrent.futures.wait(self._asked.values(), PATIENCE_S)
        for uuid, answer in list(self._asked.items()):
            if not answer.done():
                continue
            del self._asked[uuid]
            seen = answer.result()
            if seen is None:
                self._silent_until[uuid] = time.monotonic() + REST_S
            elif uuid in nodes:
                self._silent_until.pop(uuid, None)
                yield uuid, seen


def _power_of(node: _Node) -> str | None:
    """Return ironic's word for a node's power; None where nobody answers.

    What a silent BMC means is for ironic's own loop to say, which counts.
    """
    try:
        return STATES[access.ask_node(node, lambda bmc: bmc.get_power())]
    except exception.ZsbmError as exc:
        LOG.debug('Node %s: %s', node.uuid, exc)
        return None


def _sync(manager: Any, context: Any, uuid: str) -> None:
    try:
        with task_manager.acquire(
            context, uuid, purpose='power state watch', shared=True
        ) as task:
            if not task.node.maintenance and not task.node.reservation:
                ironic_compat.sync_power_state(manager, task)
    except (
        ironic_exception.NodeLocked,
        ironic_exception.NodeNotFound,
    ) as exc:
        LOG.debug('Node %s: its power is looked at later: %s', uuid, exc)
