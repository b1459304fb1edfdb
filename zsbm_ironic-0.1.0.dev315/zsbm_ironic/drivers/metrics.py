# SPDX-License-Identifier: Apache-2.0
"""The periodic task that reads BMCs for Prometheus, and starts the server.

A part of the management interface, which every conductor with the type
`zsbm` has exactly once; so are the board and the server, made at the first
round and alive as long as the conductor. Off unless [zsbm_monitoring]enabled.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from ironic.common import states
from ironic.conductor import periodics
from oslo_log import log

from zsbm_ironic.bmc import base, pool
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import access
from zsbm_ironic.monitoring import collector, exporter, readings

LOG = log.getLogger(__name__)
T = TypeVar('T')
FIELDS = (
    'name',
    'driver_info',
    'driver_internal_info',
    'management_interface',
    'provision_state',
    'power_state',
    'maintenance',
    'owner',
    'lessee',
    'resource_class',
    'instance_uuid',
    'extra',
)
# Labels are kept for each series: nobody's text is longer.
LABEL_CHARS = 64
POWER = {
    states.POWER_ON: base.PowerState.ON,
    states.POWER_OFF: base.PowerState.OFF,
}
# Before `manage` nobody has said which protocol the BMC speaks.
UNREAD_STATES = frozenset({states.ENROLL, states.VERIFYING})


@dataclasses.dataclass(frozen=True)
class _Node:
    """The fields of a node that reaching its BMC takes."""

    uuid: str
    driver: str
    conductor_group: str
    name: str | None
    driver_info: dict[str, Any]
    driver_internal_info: dict[str, Any]
    management_interface: str | None
    provision_state: str
    power_state: str | None
    maintenance: bool
    owner: str | None
    lessee: str | None
    resource_class: str | None
    instance_uuid: str | None
    extra: dict[str, Any]

    @property
    def facts(self) -> readings.Facts:
        """What is known without the BMC."""
        return readings.Facts(
            owner=_label(self.owner),
            lessee=_label(self.lessee),
            resource_class=_label(self.resource_class),
            conductor_group=_label(self.conductor_group),
            instance_uuid=_label(self.instance_uuid),
            rack=_label(self.extra.get('rack')),
            maintenance=bool(self.maintenance),
            deployed=self.provision_state == states.ACTIVE,
            power=POWER.get(self.power_state or ''),
        )

    def ask(self, function: Callable[[base.Bmc], T], /) -> T:
        """Run a function on the BMC, on the session that all share."""
        return pool.shared().call(
            self.uuid,
            access.decided(self),
            function,
            hold=CONF.zsbm_bmc.hold_sessions,
        )


def _label(value: object) -> str:
    return '' if value is None else str(value)[:LABEL_CHARS]


class MetricsMixin:
    """Gives a management interface the round of readings."""

    _board: readings.Board | None = None
    _exporter: exporter.Exporter | None = None

    @periodics.periodic(
        spacing=lambda: CONF.zsbm_monitoring.interval_s,
        enabled=lambda: CONF.zsbm_monitoring.enabled,
        run_immediately=True,
    )
    def _read_for_prometheus(self, manager: Any, context: Any) -> None:
        """Read the BMCs of all `zsbm` nodes of this conductor.

        One query and no lock: the session of a BMC keeps order between this
        and an operator's actions. Nodes in maintenance are read too.
        """
        settings = CONF.zsbm_monitoring
        if self._board is None:
            self._board = readings.Board()
        if self._exporter is None:
            try:
                self._exporter = exporter.Exporter(
                    settings.listen, collector.ReadingsCollector(self._board)
                )
            except OSError as exc:
                LOG.error(
                    'Metrics cannot be served on [zsbm_monitoring]listen '
                    '%s: %s. Tried again in %d s.',
                    settings.listen,
                    exc,
                    settings.interval_s,
                )
        nodes = (_Node(*row) for row in manager.iter_nodes(fields=FIELDS))
        sources = [
            readings.Source(
                node.uuid, node.name or node.uuid, node.ask, node.facts
            )
            for node in nodes
            if node.management_interface == 'zsbm'
            and node.provision_state not in UNREAD_STATES
        ]
        readings.take_round(sources, self._board, settings.workers)
