# SPDX-License-Identifier: Apache-2.0
"""Whether an image is made fit for its server, and what came of it.

Used by the deploy interface around its step adapt_image; the work is done in
the ramdisk.
"""

import enum
from collections.abc import Iterable
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_lib
from ironic.drivers.modules import agent_base

from zsbm_ironic.drivers import exception as drivers_exception

# In instance_info, or a property of an image.
SWITCH = 'zsbm_adapt_image'
# Where driver_internal_info has the last report.
REPORT = 'zsbm_adapted'


class Choice(enum.Enum):
    """When an image is looked at.

    :cvar AUTO: one that nobody can judge, as Windows, is left as it is.
    :cvar ALWAYS: one that nobody can judge stops the deploy.
    :cvar NEVER: no image is.
    """

    AUTO = 'auto'
    ALWAYS = 'always'
    NEVER = 'never'


def choice(node: Any) -> Choice:
    """Return what instance_info says, else the properties of the image.

    :raises InvalidParameterValue: that is none of the three.
    """
    info = node.instance_info
    value = info.get(SWITCH)
    if value is None:
        properties = info.get('image_properties') or {}
        value = properties.get(SWITCH, Choice.AUTO.value)
    try:
        return Choice(value)
    except ValueError as exc:
        raise ironic_exception.InvalidParameterValue(
            str(
                drivers_exception.SwitchInvalid(
                    node=node.name or node.uuid,
                    key=SWITCH,
                    value=value,
                    known=', '.join(one.value for one in Choice),
                )
            )
        ) from exc


def arguments(node: Any, ports: Iterable[Any]) -> dict[str, Any]:
    """Return the arguments of the in-band step.

    NICs get the names of the image in this order: PXE first, then as the
    ports were made.
    """
    some = sorted(ports, key=lambda port: (not port.pxe_enabled, port.id))
    return {
        'macs': [port.address for port in some],
        'must_judge': choice(node) is Choice.ALWAYS,
    }


@agent_base.post_deploy_step_hook(interface='deploy', step='adapt_image')
def keep(task: task_manager.TaskManager, command: dict[str, Any]) -> None:
    """Record what the ramdisk says that it changed."""
    result = (command.get('command_result') or {}).get('deploy_result')
    if not isinstance(result, dict):
        return
    node = task.node
    node.set_driver_internal_info(REPORT, result)
    if told := text(node.name or node.uuid, result):
        conductor_lib.node_history_record(
            node, event=told, event_type=states.DEPLOYING, error=False
        )
    node.save()


def text(node: str, result: dict[str, Any]) -> str:
    """Return the report for a person, '' where nothing was changed.

    It comes from the ramdisk, so it may be anything.
    """
    if left_alone := result.get('left_alone'):
        return f'Node {node}: the image was left as it is: {left_alone}'
    changes = [
        f'{one.get("what")} (because {one.get("why")})'
        for one in result.get('changes') or ()
        if isinstance(one, dict)
    ]
    if not changes:
        return ''
    return (
        f'Node {node}: the image ({result.get("system")}) was made to boot '
        f'on this server: {"; ".join(changes)}.'
    )
