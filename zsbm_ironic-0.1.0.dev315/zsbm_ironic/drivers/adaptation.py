# SPDX-License-Identifier: Apache-2.0
"""Whether an image is made fit for its server, and what came of it.

Used by the deploy interface around its step adapt_image; the work is done in
the ramdisk.
"""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_lib
from ironic.drivers.modules import agent_base
from oslo_config import cfg
from oslo_utils import strutils

from zsbm_ironic.common import exception
from zsbm_ironic.drivers import exception as drivers_exception
from zsbm_ironic.image import packed_kits
from zsbm_ironic.ramdisk import switches

CONF = cfg.CONF

# Where driver_internal_info has the last report.
REPORT = 'zsbm_adapted'


def choice(
    node: Any, properties: Mapping[str, Any] | None = None
) -> switches.Choice:
    """Return what instance_info says, else the properties of the image.

    :param properties: of the image, where the node has not got them yet.
    :raises InvalidParameterValue: that is none of the three.
    """
    info = {'image_properties': properties, **node.instance_info}
    value = switches.said(info, switches.ADAPT)
    if value is None:
        return switches.Choice.AUTO
    try:
        return switches.Choice(value)
    except ValueError as exc:
        known = [one.value for one in switches.Choice]
        raise _invalid(node, switches.ADAPT, value, known) from exc


def keeps_identity(node: Any) -> bool:
    """Return whether an image is to be what it was captured from.

    :raises InvalidParameterValue: it says neither true nor false.
    """
    key = switches.KEEP_IDENTITY
    value = switches.said(node.instance_info, key)
    if value is None:
        return False
    try:
        kept: bool = strutils.bool_from_string(value, strict=True)
    except ValueError as exc:
        raise _invalid(node, key, value, ('true', 'false')) from exc
    return kept


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
        'kits': served(),
        'must_judge': choice(node) is switches.Choice.ALWAYS,
    }


def served() -> dict[str, dict[str, Any]]:
    """Return url, sha256 and size_bytes of the kernels that are served.

    :raises InstanceDeployFailure: nobody can tell which.
    """
    folder = pathlib.PurePath(CONF.zsbm_image.kit_dir)
    root = pathlib.PurePath(CONF.deploy.http_root)
    try:
        found = packed_kits.served(pathlib.Path(folder))
    except exception.ZsbmError as exc:
        raise ironic_exception.InstanceDeployFailure(str(exc)) from exc
    if not found or not folder.is_relative_to(root):
        return {}
    place = f'{CONF.deploy.http_url}/{folder.relative_to(root)}'
    return {
        name: {
            'url': f'{place}/{one.file}',
            'sha256': one.sha256,
            'size_bytes': one.size_bytes,
        }
        for name, one in found.items()
    }


def forget(node: Any) -> None:
    """Drop the report of an image that was there before."""
    if REPORT in node.driver_internal_info:
        node.del_driver_internal_info(REPORT)
        node.save()


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
