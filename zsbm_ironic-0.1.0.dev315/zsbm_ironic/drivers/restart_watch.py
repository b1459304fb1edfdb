# SPDX-License-Identifier: Apache-2.0
"""Which nodes a conductor was at work on when it died, told to a person.

Ironic moves them to the failed state when the conductor starts again, with
one line that names neither the node nor what to do. Called by `boot_watch`;
what ironic wrote is replaced by what is written here, so it is told once.
"""

from typing import Any

from ironic.common import states
from ironic.conductor import utils as conductor_utils

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import exception as drivers_exception

# The verbs that begin again, by the state in which ironic left the node.
VERBS = {
    states.CLEANFAIL: ('manage', 'provide'),
    states.DEPLOYFAIL: ('deploy',),
    states.ENROLL: ('manage',),
    states.INSPECTFAIL: ('inspect',),
    states.RESCUEFAIL: ('rescue',),
    states.SERVICEFAIL: ('service',),
    states.UNRESCUEFAIL: ('unrescue',),
    states.ERROR: ('undeploy',),
}


def was_lost(state: str, last_error: str | None) -> bool:
    """Say whether a node failed because its conductor died, still untold."""
    return state in VERBS and ironic_compat.LOST_AT_RESTART in (
        last_error or ''
    )


def tell(node: Any) -> None:
    """Write into a node's history what was lost and how to begin again.

    :param node: a locked node.
    """
    if not was_lost(node.provision_state, node.last_error):
        return
    name = node.name or node.uuid
    again = [
        f'openstack baremetal node {verb} {name}'
        for verb in VERBS[node.provision_state]
    ]
    conductor_utils.node_history_record(
        node,
        event=str(
            drivers_exception.ConductorRestarted(
                node=name,
                conductor=CONF.host,
                state=node.provision_state,
                again=', then '.join(again),
            )
        ),
        event_type=states.TRANSITION,
        error=True,
    )
    node.save()
