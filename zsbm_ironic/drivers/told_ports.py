# SPDX-License-Identifier: Apache-2.0
"""Ports that a BMC tells of: made where nobody creates any.

Not before a node is provided: clients create a node, have it verified, create
its ports and provide it (openstacksdk's `register_machine`, and with it
Ansible and bifrost), and Ironic refuses the MAC of a port that is there
already. Called by our deploy interface when a node is provided; where a node
has another one, which nobody calls then, by a verify step.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.drivers.modules import inspect_utils
from oslo_log import log

from zsbm_ironic.conf import CONF

LOG = log.getLogger(__name__)
# Of a node that is not provided yet.
BEFORE = frozenset(
    {
        states.ENROLL,
        states.VERIFYING,
        states.MANAGEABLE,
        states.INSPECTING,
        states.INSPECTWAIT,
        states.INSPECTFAIL,
    }
)
DEPLOY_INTERFACE = 'zsbm'
# Locally administered, and no server's.
UNKNOWN_MAC = '02:00:00:00:00:00'


def tells(node: Any) -> bool:
    """Return whether a node's BMC tells MACs: it speaks Redfish."""
    # Filled in at `manage`.
    return bool(node.driver_info.get('redfish_address'))


def come(task: Any) -> bool:
    """Return whether a node without a port gets some when it is provided."""
    return bool(
        not task.ports
        and CONF.inspector.pre_create_ports
        and tells(task.node)
        and task.node.deploy_interface == DEPLOY_INTERFACE
        and task.node.provision_state in BEFORE
    )


@contextlib.contextmanager
def expected(task: Any) -> Iterator[None]:
    """Show a task a port in place of those that come."""
    if not come(task):
        yield
        return
    task.ports = [objects.Port(task.context, address=UNKNOWN_MAC)]
    try:
        yield
    finally:
        task.ports = []


def create(task: Any) -> None:
    """Create the ports that a BMC tells of, if its node has none.

    Not being told is no error: a port can be created by hand.
    """
    if task.ports or not CONF.inspector.pre_create_ports:
        return
    try:
        inspect_utils.create_ports_if_not_exist(task)
    except ironic_exception.IronicException as exc:
        LOG.info('Node %s: no ports from the BMC: %s', task.node.uuid, exc)
    look_again(task)


def look_again(task: Any) -> None:
    """Let a task see ports that were made after it first looked."""
    task.ports = objects.Port.list_by_node_id(task.context, task.node.id)
