# SPDX-License-Identifier: Apache-2.0
"""What was found of a node's image before, and what follows from it.

Read by the deploy interface when a node is validated, and before the ramdisk
is asked to look at the image again.
"""

import pathlib
import re
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common.glance_service import service_utils
from ironic.conductor import task_manager
from ironic.drivers.modules import deploy_utils, inspect_utils
from oslo_config import cfg

from zsbm_ironic.common import exception
from zsbm_ironic.drivers import adaptation, filled_in
from zsbm_ironic.drivers import exception as drivers_exception
from zsbm_ironic.image import exception as image_exception
from zsbm_ironic.image import hardware, inventory, verdict, verdicts
from zsbm_ironic.ramdisk import switches

CONF = cfg.CONF

_SHA256 = re.compile('[0-9a-fA-F]{64}')


def refuse(task: task_manager.TaskManager) -> None:
    """Fail where an image is known not to boot on a node's hardware.

    What conversion mends is mended on the server; what nobody can judge is
    left to it, unless it must be judged.

    :raises InvalidParameterValue: it is known, and why.
    """
    choice = adaptation.choice(task.node, _properties(task))
    if choice is switches.Choice.NEVER:
        return
    found = _known(task)
    for one in found[1].findings if found else ():
        judged = one.key not in verdict.UNKNOWN
        if one.level is verdict.Level.REFUSE and (
            judged or choice is switches.Choice.ALWAYS
        ):
            raise ironic_exception.InvalidParameterValue(
                str(
                    drivers_exception.ImageCannotBoot(
                        node=task.node.name or task.node.uuid,
                        what=one.what,
                        remedy=one.remedy,
                    )
                )
            )


def is_fit(task: task_manager.TaskManager) -> bool:
    """Return whether an image is known to need no change on the server."""
    found = _known(task)
    if found is None or found[1].level is not verdict.Level.FIT:
        return False
    return found[0].untouched or adaptation.keeps_identity(task.node)


def _known(
    task: task_manager.TaskManager,
) -> tuple[verdicts.Kept, verdict.Verdict] | None:
    try:
        kept = _kept(task)
        server = _server(task) if kept else None
    except exception.ZsbmError as exc:
        raise ironic_exception.InvalidParameterValue(str(exc)) from exc
    if kept is None or server is None:
        return None
    found = kept.of(server)
    return (kept, found) if found else None


def _properties(task: task_manager.TaskManager) -> dict[str, Any]:
    """Return the properties of a node's image in Glance.

    :raises InvalidParameterValue: Glance has no such image.
    """
    info = task.node.instance_info
    properties = info.get('image_properties')
    image = info.get('image_source')
    # Ironic reads them at the begin of a deploy, and we are asked before.
    if properties is None and service_utils.is_glance_image(image):
        properties = deploy_utils.get_image_properties(task.context, image)
    return properties or {}


def _kept(task: task_manager.TaskManager) -> verdicts.Kept | None:
    """Return what the image's properties say, else a file of ours."""
    info = task.node.instance_info
    told = _properties(task).get(verdicts.PROPERTY)
    if told is not None:
        return verdicts.parse(
            str(told), f'property {verdicts.PROPERTY} of the image'
        )
    # During a deploy, Ironic has written that of the raw image over it.
    digest = _sha256(filled_in.without(info))
    if digest is None:
        return None
    return verdicts.read(pathlib.Path(CONF.zsbm_image.verdict_dir), digest)


def _sha256(info: dict[str, Any]) -> str | None:
    """Return the digest of a node's image, where Ironic was told one."""
    values = [info.get('image_checksum')]
    if info.get('image_os_hash_algo') == 'sha256':
        values.insert(0, info.get('image_os_hash_value'))
    for value in values:
        if isinstance(value, str) and _SHA256.fullmatch(value):
            return value.lower()
    return None


def _server(task: task_manager.TaskManager) -> hardware.Hardware | None:
    """Return the hardware of a node, None where nobody inspected it."""
    node = task.node
    try:
        whole = inspect_utils.get_inspection_data(node, task.context)
        return inventory.of_inventory(node.name or node.uuid, whole, [])
    except (
        ironic_exception.NodeInventoryNotFound,
        image_exception.NotInspected,
    ):
        return None
