# SPDX-License-Identifier: Apache-2.0
"""The periodic task that reads BMCs for Prometheus.

A part of the management interface; off unless [zsbm_monitoring]enabled.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from ironic.common import states
from ironic.conductor import periodics

from zsbm_ironic.bmc import base, pool
from zsbm_ironic.common import ironic_compat
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import access, events, served
from zsbm_ironic.monitoring import durations, line, readings

T = TypeVar('T')
FIELDS = (
    'name',
    'driver_info',
    'driver_internal_info',
    'management_interface',
    'provision_state',
    'power_state',
    'maintenance',
    'fault',
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
    fault: str | None
    owner: str | None
    lessee: str | None
    resource_class: str | None
    instance_uuid: str | None
    extra: dict[str, Any]

    def facts(self, lasted: durations.Durations) -> readings.Facts:
        """Return what is known without the BMC."""
        return readings.Facts(
            owner=label(self.owner),
            lessee=label(self.lessee),
            resource_class=label(self.resource_class),
            conductor_group=label(self.conductor_group),
            instance_uuid=label(self.instance_uuid),
            rack=label(self.extra.get('rack')),
            # Ironic's own, for a fault, is what people are called for.
            maintenance=bool(self.maintenance and not self.fault),
            deployed=self.provision_state == states.ACTIVE,
            power=POWER.get(self.power_state or ''),
            lasted=lasted,
        )

    def ask(self, function: Callable[[base.Bmc], T], /) -> T:
        """Run a function on the BMC, on the session that all share."""
        return pool.shared().call(
            self.uuid,
            access.decided(self),
            function,
            hold=CONF.zsbm_bmc.hold_sessions,
            unasked=True,
        )


def label(value: object) -> str:
    """Return a value as the label of a series; empty for none."""
    return line.line(value, LABEL_CHARS)


class MetricsMixin:
    """Gives a management interface the round of readings."""

    served: served.Served

    def __init__(self) -> None:
        """Know of no boot and no deploy."""
        super().__init__()
        self._book = durations.Book()

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
        self.served.start()
        nodes = [
            node
            for node in (
                _Node(*row) for row in manager.iter_nodes(fields=FIELDS)
            )
            if node.management_interface == 'zsbm'
            and node.provision_state not in UNREAD_STATES
        ]
        self._book.keep_only(node.uuid for node in nodes)
        kept = events.own_timeline()
        sources = [
            readings.Source(
                node.uuid,
                node.name or node.uuid,
                node.ask,
                node.facts(self._book.of(kept, node.uuid)),
            )
            for node in nodes
        ]
        readings.take_round(
            sources,
            self.served.board,
            CONF.zsbm_monitoring.workers,
            lambda: ironic_compat.is_shutting_down(manager),
        )
