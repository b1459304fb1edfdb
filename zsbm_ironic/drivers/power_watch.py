# SPDX-License-Identifier: Apache-2.0
"""Periodic tasks of the power interface: watch power, close sessions.

A part of the power interface, which every conductor with the type `zsbm` has
exactly once. Ironic's own loop takes a task and several questions for each
node each time; this one makes one query, lets `bmc.watch` ask the BMCs and
takes a task only for a node whose power is not what ironic believes. What it
saw a moment ago is an answer for Ironic's own loop too, where it says nothing
new.
"""

import dataclasses
import datetime
import functools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import periodics, task_manager
from oslo_log import log
from oslo_utils import timeutils

from zsbm_ironic.bmc import base, pool, watch
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception, ironic_compat
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import access

LOG = log.getLogger(__name__)

TIDY_S = 30
# Between two looks at who is not logged in to, or speaks Redfish.
OTHERS_S = 2
# How old what was seen may be where Ironic's own loop asks: little more than
# between two looks by the documented settings.
SEEN_S = {base.BmcProtocol.IPMI: 10.0, base.BmcProtocol.REDFISH: 35.0}
# A power state that is news is looked at again, so much later.
AGAIN_S = 1.0
FIELDS = ('updated_at', 'power_interface', 'power_state', 'provision_state')
BMC_FIELDS = ('driver_info', 'driver_internal_info')
# How to reach the BMC of a node is read again when the node has changed, and
# for so long afterwards: databases count whole seconds, and clocks differ.
SETTLED = datetime.timedelta(minutes=1)
AT_ONCE = 200
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
# Upstream's mark of a node whose BMC updates firmware, which may power it off.
UPDATING = 'redfish_fw_updates'
STATES = {
    base.PowerState.ON: states.POWER_ON,
    base.PowerState.OFF: states.POWER_OFF,
}


def _is_watching() -> bool:
    return bool(CONF.zsbm_bmc.power_poll_s)


class _Node(NamedTuple):
    """The row of the one query."""

    uuid: str
    driver: str
    conductor_group: str
    updated_at: datetime.datetime | None
    power_interface: str | None
    power_state: str | None
    provision_state: str


@dataclasses.dataclass(frozen=True)
class _Reach:
    """A row of who is not known, or has changed."""

    uuid: str
    driver: str
    conductor_group: str
    driver_info: dict[str, Any]
    driver_internal_info: dict[str, Any]


class PowerWatchMixin:
    """Gives a power interface its periodic tasks."""

    def __init__(self) -> None:
        """Start with nothing known and no thread."""
        super().__init__()
        self._watch: watch.Watch | None = None
        self._nodes: dict[str, _Node] = {}
        # By owner, and as of when.
        self._bmcs: dict[str, bmc_credentials.Credentials] = {}
        self._as_of: dict[str, datetime.datetime] = {}
        self._guard = threading.Lock()
        # By owner, and when.
        self._seen: dict[str, tuple[base.PowerState, float]] = {}
        # What was news once, and when.
        self._news: dict[str, tuple[base.PowerState, float]] = {}

    @periodics.periodic(spacing=TIDY_S, run_immediately=True)
    def _tidy_sessions(self, manager: Any, context: Any) -> None:
        """Close idle sessions, and those of nodes that moved away."""
        ironic_compat.at_shutdown(manager, self._end)
        mapped = manager.iter_nodes(fields=('power_interface',))
        sessions = pool.shared()
        sessions.keep_only({row[0] for row in mapped if row[3] == 'zsbm'})
        sessions.sweep()

    def _end(self) -> None:
        """Give the BMCs their slots back as the conductor ends."""
        if self._watch is not None:
            self._watch.close()
        pool.shared().close()
        pool.log_out(ironic_compat.redfish_log_outs())

    @periodics.periodic(
        spacing=lambda: CONF.zsbm_bmc.power_poll_s or 1, enabled=_is_watching
    )
    def _watch_power(self, manager: Any, context: Any) -> None:
        """Ask who speaks IPMI and is logged in to."""
        rows = manager.iter_nodes(
            fields=FIELDS, filters={'maintenance': False, 'reserved': False}
        )
        self._nodes = {
            node.uuid: node
            for node in (_Node(*row) for row in rows)
            if node.power_interface == 'zsbm'
            and node.provision_state not in UNWATCHED_STATES
        }
        with self._guard:
            for gone in self._news.keys() - self._nodes.keys():
                del self._news[gone]
        if self._watch is None:
            self._watch = watch.Watch(
                pool.shared(), CONF.zsbm_bmc.power_poll_workers
            )
        self._find_bmcs(manager)
        self._watch.watch(self._bmcs)
        self._follow(manager, context, self._watch.at_once)

    def _find_bmcs(self, manager: Any) -> None:
        """Learn how to reach the BMCs of nodes that have changed.

        Both columns are long, and reading credentials out of them takes
        longer than asking the BMC.
        """
        nodes = self._nodes
        for gone in self._as_of.keys() - nodes.keys():
            del self._as_of[gone]
            self._bmcs.pop(gone, None)
            self._seen.pop(gone, None)
        # Naive UTC, as the database has it.
        now = timeutils.utcnow()
        changed = [
            node.uuid
            for node in nodes.values()
            if node.updated_at is None
            or node.uuid not in self._as_of
            or self._as_of[node.uuid] < node.updated_at + SETTLED
        ]
        for start in range(0, len(changed), AT_ONCE):
            some = changed[start : start + AT_ONCE]
            for row in manager.iter_nodes(
                fields=BMC_FIELDS, filters={'uuid_in': some}
            ):
                node = _Reach(*row)
                self._as_of[node.uuid] = now
                try:
                    self._bmcs[node.uuid] = access.decided(node)
                except exception.ZsbmError as exc:
                    # What is wrong, ironic's own loop says.
                    LOG.debug('Node %s: %s', node.uuid, exc)
                    self._bmcs.pop(node.uuid, None)

    def seen(self, node: Any) -> base.PowerState | None:
        """Return what the watch saw of a node's power a moment ago.

        :returns: None where it has not, and where the BMC is to be asked
            whatever it saw: its power is not what ironic believes, or the
            node has changed a while ago, by an action or in how its BMC is
            reached.
        """
        power, at = self._seen.get(node.uuid, (None, 0.0))
        bmc = self._bmcs.get(node.uuid)
        if power is None or bmc is None or STATES[power] != node.power_state:
            return None
        as_of = self._as_of.get(node.uuid)
        if as_of is None or node.updated_at is None:
            return None
        changed = timeutils.normalize_time(node.updated_at)
        is_young = time.monotonic() - at <= SEEN_S[bmc.protocol]
        return power if is_young and changed + SETTLED <= as_of else None

    @periodics.periodic(spacing=OTHERS_S, enabled=_is_watching)
    def _watch_others(self, manager: Any, context: Any) -> None:
        """Ask who is not logged in to, and who speaks Redfish."""
        if self._watch is None:
            return
        settings = CONF.zsbm_bmc
        pace = watch.Pace(
            settings.power_poll_s,
            settings.redfish_poll_s,
            OTHERS_S,
            settings.hold_sessions,
            settings.redfish_events and settings.hold_sessions,
        )
        self._follow(
            manager, context, functools.partial(self._watch.by_workers, pace)
        )

    def _follow(
        self,
        manager: Any,
        context: Any,
        ask: Callable[..., Iterable[tuple[str, base.PowerState]]],
    ) -> None:
        """Ask; sync nodes that differ twice.

        Once may be a reset that is under way. The second answer of a BMC that
        takes long is heard at a later turn.
        """
        news = self._take(manager, context, ask())
        if news:
            time.sleep(AGAIN_S)
            self._take(manager, context, ask(news))

    def _take(
        self,
        manager: Any,
        context: Any,
        answers: Iterable[tuple[str, base.PowerState]],
    ) -> set[str]:
        """Return whose state is news; sync those where it was before."""
        news = set()
        for uuid, power in answers:
            now = time.monotonic()
            with self._guard:
                node = self._nodes.get(uuid)
                if node is not None:
                    self._seen[uuid] = power, now
                if node is None or STATES[power] == node.power_state:
                    self._news.pop(uuid, None)
                    continue
                before = self._news.get(uuid)
                if before is None or before[0] is not power:
                    self._news[uuid] = power, now
                    news.add(uuid)
                    continue
                if now - before[1] < AGAIN_S:
                    continue
                del self._news[uuid]
            _sync(manager, context, uuid)
        return news


def _sync(manager: Any, context: Any, uuid: str) -> None:
    try:
        with task_manager.acquire(
            context, uuid, purpose='power state watch', shared=True
        ) as task:
            node = task.node
            # As ironic's own loop: the query was some seconds ago.
            if not (
                node.maintenance
                or node.reservation
                or node.target_power_state
                or node.provision_state in UNWATCHED_STATES
                or node.driver_internal_info.get(UPDATING) is not None
            ):
                ironic_compat.sync_power_state(manager, task)
    except ironic_exception.IronicException as exc:
        LOG.debug('Node %s: its power is looked at later: %s', uuid, exc)
