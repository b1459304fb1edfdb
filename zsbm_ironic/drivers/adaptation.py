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
from oslo_utils import strutils

from zsbm_ironic.drivers import exception as drivers_exception
from zsbm_ironic.ramdisk import version

# In instance_info, or a property of an image: is it looked at, and is it
# what it was captured from.
SWITCH = version.SWITCH
KEEP = 'zsbm_keep_identity'
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
    NEVER = version.NEVER


def choice(node: Any) -> Choice:
    """Return what instance_info says, else the properties of the image.

    :raises InvalidParameterValue: that is none of the three.
    """
    value = _said(node, SWITCH, Choice.AUTO.value)
    try:
        return Choice(value)
    except ValueError as exc:
        known = [one.value for one in Choice]
        raise _invalid(node, SWITCH, value, known) from exc


def keeps_identity(node: Any) -> bool:
    """Return whether an image is to be what it was captured from.

    :raises InvalidParameterValue: it says neither true nor false.
    """
    value = _said(node, KEEP, 'false')
    try:
        kept: bool = strutils.bool_from_string(value, strict=True)
    except ValueError as exc:
        raise _invalid(node, KEEP, value, ('true', 'false')) from exc
    return kept


def _said(node: Any, key: str, default: str) -> Any:
    info = node.instance_info
    value = info.get(key)
    if value is None:
        value = (info.get('image_properties') or {}).get(key, default)
    return value


def _invalid(
    node: Any, key: str, value: Any, known: Iterable[str]
) -> ironic_exception.InvalidParameterValue:
    return ironic_exception.InvalidParameterValue(
        str(
            drivers_exception.SwitchInvalid(
                node=node.name or node.uuid,
                key=key,
                value=value,
                known=', '.join(known),
            )
        )
    )


def arguments(node: Any, ports: Iterable[Any]) -> dict[str, Any]:
    """Return the arguments of the in-band step.

    NICs get the names of the image in this order: PXE first, then as the
    ports were made.
    """
    some = sorted(ports, key=lambda port: (not port.pxe_enabled, port.id))
    own = node.instance_info.get('display_name') or node.name or node.uuid
    return {
        'macs': [port.address for port in some],
        'hostname': None if keeps_identity(node) else own,
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
        f'Node {node}: the image ({result.get("system")}) was made for '
        f'this server: {"; ".join(changes)}.'
    )
