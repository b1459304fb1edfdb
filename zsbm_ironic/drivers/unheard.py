# SPDX-License-Identifier: Apache-2.0
"""A server that is waited for, and that nobody hears: its switch is asked.

A wrong cable or VLAN keeps a server from ever reaching its ramdisk; upstream
waits for half an hour and says that it timed out. Called by `boot_watch`, for
one node at a time. Where a switch tells for certain what is wrong, the wait
ends with it; a server that is only silent may be one that tests its memory.
"""

import datetime
import time
from collections.abc import Callable, Iterable
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import utils as conductor_utils
from ironic.drivers.modules import deploy_utils
from oslo_log import log as logging

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.network import checked, exception, finding

LOG = logging.getLogger(__name__)

# Firmware asks for an address sooner, but for the slowest.
QUIET_S = 120
# What no patience mends.
CERTAIN = frozenset({'heard-elsewhere', 'native-vlan', 'switch-port'})
# Of driver_internal_info: when the wait began that was looked at, in seconds
# since the epoch, so that each is once.
LOOKED = 'zsbm_network_looked'


def is_due(
    info: dict[str, Any],
    since: Any,
    heard: Iterable[float],
    now: float | None = None,
) -> bool:
    """Say whether it is time to ask, for a node that waits for its ramdisk.

    :param info: its driver_internal_info.
    :param since: when it began to wait (`provision_updated_at`); the database
        tells it in UTC and does not say so.
    :param heard: when each of its addresses was heard by DHCP, in seconds
        since the epoch.
    """
    if since is None or info.get('agent_url'):
        return False
    began = _seconds(since)
    if info.get(LOOKED) == began:
        return False
    quiet_s = (time.time() if now is None else now) - began
    return quiet_s > QUIET_S and not any(moment > began for moment in heard)


def _seconds(moment: datetime.datetime) -> float:
    """Return seconds since the epoch; an object of a node knows its zone."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def look(task: Any) -> None:
    """Ask the switches of a locked node; tell, and end what is in vain."""
    node = task.node
    node.set_driver_internal_info(LOOKED, _seconds(node.provision_updated_at))
    node.save()
    interface = task.driver.network
    if not isinstance(interface, checked.Checked):
        return
    try:
        found = finding.wrong(
            interface.why_silent(task, checked.PURPOSES[node.provision_state])
        )
    except (
        common_exception.ZsbmError,
        ironic_exception.IronicException,
    ) as exc:
        LOG.warning('Node %s: its switch cannot be asked: %s', node.uuid, exc)
        return
    if not found:
        return
    name = node.name or node.uuid
    why = exception.NetworkWrong(node=name, findings=finding.told(found))
    text = f'Node {name} waits for its ramdisk in vain: {why}'
    if any(one.check in CERTAIN for one in found):
        ENDS[node.provision_state](task, text)
        return
    LOG.error('%s', text)
    conductor_utils.node_history_record(
        node, event=text, event_type=node.provision_state, error=True
    )
    node.save()


def _end_inspection(task: Any, text: str) -> None:
    task.process_event('fail')
    conductor_utils.inspecting_error_handler(task, text)


def _end_deploy(task: Any, text: str) -> None:
    deploy_utils.set_failed_state(task, text, collect_logs=False)


# By upstream's own handler of each state.
ENDS: dict[str, Callable[[Any, str], None]] = {
    states.INSPECTWAIT: _end_inspection,
    states.CLEANWAIT: conductor_utils.cleaning_error_handler,
    states.DEPLOYWAIT: _end_deploy,
    states.RESCUEWAIT: conductor_utils.rescuing_error_handler,
    states.SERVICEWAIT: conductor_utils.servicing_error_handler,
}
