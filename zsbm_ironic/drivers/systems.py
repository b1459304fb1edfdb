# SPDX-License-Identifier: Apache-2.0
"""The periodic task that lists the systems of servers for Prometheus.

A part of the management interface; off unless [zsbm_monitoring]enabled.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import periodics
from oslo_log import log

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.conf import CONF, monitoring
from zsbm_ironic.drivers import os_address, os_metrics, served
from zsbm_ironic.drivers.metrics import label
from zsbm_ironic.monitoring import discovery

LOG = log.getLogger(__name__)
HARDWARE_TYPE = 'zsbm'
FIELDS = (
    'name',
    'provision_state',
    'instance_info',
    'owner',
    'lessee',
    'extra',
)
CLAIMING_FIELDS = ('id', 'uuid', 'network_interface', 'instance_info')
PUSHING_FIELDS = (
    'uuid',
    'name',
    'instance_info',
    'driver_internal_info',
    'owner',
    'lessee',
    'extra',
)


@dataclasses.dataclass(frozen=True)
class _Node:
    """The row of the one query."""

    uuid: str
    driver: str
    conductor_group: str
    name: str | None
    provision_state: str
    instance_info: dict[str, Any]
    owner: str | None
    lessee: str | None
    extra: dict[str, Any]


class SystemsMixin:
    """Gives a management interface the list of systems."""

    served: served.Served
    _addresses: os_address.Addresses | None = None
    _told: frozenset[str] = frozenset()

    @periodics.periodic(
        spacing=lambda: CONF.zsbm_monitoring.interval_s,
        enabled=lambda: CONF.zsbm_monitoring.enabled,
        run_immediately=True,
    )
    def _list_systems(self, manager: Any, context: Any) -> None:
        """List who is scraped and who pushes; takes no lock."""
        self.served.start()
        rows = [_Node(*row) for row in manager.iter_nodes(fields=FIELDS)]
        if ironic_compat.is_shutting_down(manager):
            # The list of nodes was cut short then.
            return
        told: list[str] = []
        scraped = [
            node
            for node in rows
            if node.driver == HARDWARE_TYPE
            and node.provision_state == states.ACTIVE
            and _mode(node, told) in (monitoring.PRESENT, monitoring.PULL)
        ]
        if self._addresses is None:
            self._addresses = os_address.Addresses()
        networks = [
            ipaddress.ip_network(one)
            for one in CONF.zsbm_monitoring.os_networks
        ]
        targets, wrong = discovery.settle(
            self._addresses.claims(context, _all(context)) if scraped else (),
            networks,
        )
        pushing = list(_pushing(context, told))
        self.served.receiver.allow(
            {
                node.uuid: node.driver_internal_info[os_metrics.RECORD][
                    'sha256'
                ]
                for node in pushing
            }
        )
        self.served.directory.replace(
            [
                *(
                    _system(node, _target(targets[node.uuid]))
                    for node in scraped
                    if node.uuid in targets
                ),
                *(_system(node) for node in pushing),
            ]
        )
        self._tell([*told, *wrong])

    def _tell(self, problems: Iterable[str]) -> None:
        """Log what is new of them, and not each minute what is not."""
        found = frozenset(problems)
        for problem in sorted(found - self._told):
            LOG.warning('%s', problem)
        self._told = found


def _all(context: Any) -> dict[int, Any]:
    """Return all nodes by id: any of them may hold an address."""
    return {
        node.id: node
        for node in objects.Node.list(context, fields=list(CLAIMING_FIELDS))
    }


def _pushing(context: Any, told: list[str]) -> Iterator[Any]:
    """Yield nodes whose systems push to this conductor.

    Whichever conductor has them now: the address is in the system.
    """
    if not CONF.zsbm_monitoring.push_listen:
        return
    for node in objects.Node.list(
        context,
        filters={'driver': HARDWARE_TYPE, 'provision_state': states.ACTIVE},
        fields=list(PUSHING_FIELDS),
    ):
        record = node.driver_internal_info.get(os_metrics.RECORD)
        if (
            isinstance(record, dict)
            and record.get('conductor') == CONF.host
            and isinstance(record.get('sha256'), str)
            and _mode(node, told) == monitoring.PUSH
        ):
            yield node


def _mode(node: Any, told: list[str]) -> str:
    try:
        return os_metrics.mode(node)
    except ironic_exception.InvalidParameterValue as exc:
        told.append(str(exc))
        return monitoring.OFF


def _target(address: str) -> str:
    host = f'[{address}]' if ':' in address else address
    return f'{host}:{CONF.zsbm_monitoring.os_port}'


def _system(node: Any, target: str = '') -> discovery.System:
    return discovery.System(
        node.uuid,
        node.name or node.uuid,
        owner=label(node.owner),
        lessee=label(node.lessee),
        rack=label(node.extra.get('rack')),
        target=target,
    )
