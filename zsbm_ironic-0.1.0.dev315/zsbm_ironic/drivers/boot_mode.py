# SPDX-License-Identifier: Apache-2.0
"""Learns from a machine's own DHCP request whether it boots by BIOS or UEFI.

Called by `boot_watch`. IPMI cannot tell, and Ironic's default is a guess that
it writes down as if it were known. A mode that an operator or inspection
wrote is left as it is; a BMC that speaks Redfish is asked itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ironic.common import boot_modes
from ironic.common import exception as ironic_exception
from ironic.drivers import utils as driver_utils
from oslo_log import log as logging

from zsbm_ironic.drivers import events
from zsbm_ironic.netboot import timeline

LOG = logging.getLogger(__name__)

CAPABILITY = 'boot_mode'


def is_unknown(
    properties: Mapping[str, Any], driver_info: Mapping[str, Any]
) -> bool:
    """Whether nobody has said it and the BMC will not.

    Capabilities that cannot be read are somebody's word too.
    """
    try:
        known = driver_utils.capabilities_to_dict(
            properties.get('capabilities')
        )
    except ironic_exception.InvalidParameterValue:
        return False
    return CAPABILITY not in known and 'redfish_address' not in driver_info


def told_by(found: Iterable[timeline.Event]) -> str | None:
    """Return the mode that the newest DHCP request tells, if one does."""
    mode = None
    for event in found:
        if event.name != 'dhcp-client':
            continue
        for word in event.detail.split():
            if word == 'x86-bios':
                mode = boot_modes.LEGACY_BIOS
            elif word.endswith('-uefi'):
                mode = boot_modes.UEFI
    return mode


def learn(node: Any, mode: str) -> None:
    """Write the mode into the capabilities of a node that is locked.

    A guess that this deploy started with is corrected too: the agent asks
    for it when it writes the boot loader.
    """
    capabilities = driver_utils.capabilities_to_dict(
        node.properties.get('capabilities')
    )
    if CAPABILITY in capabilities:
        return
    capabilities[CAPABILITY] = mode
    text = ','.join(f'{key}:{value}' for key, value in capabilities.items())
    node.properties = {**node.properties, 'capabilities': text}
    if node.driver_internal_info.get('deploy_boot_mode'):
        node.set_driver_internal_info('deploy_boot_mode', mode)
    node.save()
    LOG.info('Node %s boots by %s: its DHCP request says so.', node.uuid, mode)
    events.note(node.uuid, 'dhcp', 'boot-mode-learned', mode)
