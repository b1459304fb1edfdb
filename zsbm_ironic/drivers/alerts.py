# SPDX-License-Identifier: Apache-2.0
"""The periodic task that writes alerts into the history of nodes.

A part of the management interface; off unless
[zsbm_monitoring]alertmanager_url. Which alerts are written down is kept with
each node, so that another conductor, or this one after a restart, goes on
from there.
"""

from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.conductor import periodics, task_manager
from ironic.conductor import utils as conductor_lib
from oslo_log import log

from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers.systems import HARDWARE_TYPE
from zsbm_ironic.monitoring import alertmanager, exception

LOG = log.getLogger(__name__)

# Key of driver_internal_info: alerts whose start is written down.
OPEN = 'zsbm_alerts'
EVENT_TYPE = 'monitoring'


class AlertsMixin:
    """Gives a management interface the look at Alertmanager."""

    _alertmanager_fails: bool = False

    @periodics.periodic(
        spacing=lambda: CONF.zsbm_monitoring.interval_s,
        enabled=lambda: bool(
            CONF.zsbm_monitoring.enabled
            and CONF.zsbm_monitoring.alertmanager_url
        ),
    )
    def _record_alerts(self, manager: Any, context: Any) -> None:
        """Write down which alerts of this conductor's nodes began or ended.

        A node that is locked has its turn at the next look.
        """
        settings = CONF.zsbm_monitoring
        try:
            told = alertmanager.ask(
                settings.alertmanager_url, settings.alertmanager_ca_file
            )
        except exception.AlertmanagerUnusable as exc:
            if not self._alertmanager_fails:
                LOG.warning('%s', exc)
            self._alertmanager_fails = True
            return
        self._alertmanager_fails = False
        settled = told.up_s >= settings.alertmanager_settle_s
        for uuid, driver, _group, info in manager.iter_nodes(
            fields=('driver_internal_info',)
        ):
            alerts = told.alerts.get(uuid, {})
            if driver == HARDWARE_TYPE and any(
                alertmanager.changes(
                    alertmanager.read(info.get(OPEN)),
                    alerts,
                    told.present,
                    settled,
                )
            ):
                _record(context, uuid, told, settled)


def _record(
    context: Any, uuid: str, told: alertmanager.Told, settled: bool
) -> None:
    try:
        with task_manager.acquire(
            context,
            uuid,
            shared=False,
            load_driver=False,
            purpose='recording alerts',
        ) as task:
            _record_locked(context, task.node, told, settled)
    except ironic_exception.IronicException as exc:
        LOG.debug('Alerts of node %s are recorded later: %s', uuid, exc)


def _record_locked(
    context: Any, node: Any, told: alertmanager.Told, settled: bool
) -> None:
    known = alertmanager.read(node.driver_internal_info.get(OPEN))
    began, ended = alertmanager.changes(
        known, told.alerts.get(node.uuid, {}), told.present, settled
    )
    # What a conductor wrote that died before it could note it.
    written = {
        one.event
        for one in objects.NodeHistory.list_by_node_id(context, node.id)
        if one.event_type == EVENT_TYPE
    }
    texts = [*(one.started for one in began), *(one.ended for one in ended)]
    for text in texts:
        if text not in written:
            conductor_lib.node_history_record(
                node, event=text, event_type=EVENT_TYPE, error=False
            )
    for one in ended:
        del known[one.fingerprint]
    known |= {one.fingerprint: one for one in began}
    node.set_driver_internal_info(OPEN, alertmanager.kept(known))
    node.save()
