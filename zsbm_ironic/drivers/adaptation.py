# SPDX-License-Identifier: Apache-2.0
"""Whether an image is made fit for its server, and what came of it.

Used by the deploy interface around its step adapt_image; the work is done in
the ramdisk.
"""

from collections.abc import Iterable
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_lib
from ironic.drivers.modules import agent_base
from oslo_utils import strutils

from zsbm_ironic.drivers import exception as drivers_exception

# In instance_info, or a property of an image: false leaves the image alone.
SWITCH = 'zsbm_adapt_image'
# Where driver_internal_info has the last report.
REPORT = 'zsbm_adapted'


def wanted(node: Any) -> bool:
    """Return whether an image is to be looked at.

    instance_info is asked first, then the properties of the image.

    :raises InvalidParameterValue: the switch is no boolean.
    """
    info = node.instance_info
    value = info.get(SWITCH)
    if value is None:
        value = (info.get('image_properties') or {}).get(SWITCH, True)
    try:
        return bool(strutils.bool_from_string(value, strict=True))
    except ValueError as exc:
        raise ironic_exception.InvalidParameterValue(
            str(
                drivers_exception.SwitchInvalid(
                    node=node.name or node.uuid, key=SWITCH, value=value
                )
            )
        ) from exc


def macs(ports: Iterable[Any]) -> list[str]:
    """Return MACs in the order in which NICs get names: PXE first."""
    some = sorted(ports, key=lambda port: (not port.pxe_enabled, port.id))
    return [port.address for port in some]


@agent_base.post_deploy_step_hook(interface='deploy', step='adapt_image')
def _keep(task: task_manager.TaskManager, command: dict[str, Any]) -> None:
    """Record what the ramdisk says that it changed."""
    result = (command.get('command_result') or {}).get('deploy_result')
    if not isinstance(result, dict) or 'changes' not in result:
        return
    node = task.node
    node.set_driver_internal_info(REPORT, result)
    node.save()
    if result['changes']:
        conductor_lib.node_history_record(
            node,
            event=text(node, result),
            event_type=states.DEPLOYING,
            error=False,
        )


def text(node: Any, result: dict[str, Any]) -> str:
    """Return the report for a person."""
    changes = '; '.join(
        f'{one["what"]} (because {one["why"]})' for one in result['changes']
    )
    return (
        f'Node {node.name or node.uuid}: the image ({result["system"]}) was '
        f'made to boot on this server: {changes}.'
    )
