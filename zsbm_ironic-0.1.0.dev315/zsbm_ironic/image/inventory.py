# SPDX-License-Identifier: Apache-2.0
"""The hardware of a node, as Ironic keeps it since its last inspection.

The ramdisk puts it there (KEY in the plugin data of the inventory), and
whoever judges an image for a node reads it, by Ironic's API.
"""

from collections.abc import Mapping
from typing import Any

from zsbm_ironic.image import cloud as clouds
from zsbm_ironic.image import exception, hardware

KEY = 'zsbm_hardware'


def kept(found: hardware.Hardware, disk_bytes: int | None) -> dict[str, Any]:
    """Return what inspection keeps of a server: JSON as SCHEMA says."""
    data = found.data()
    del data['name']
    data['disk_bytes'] = disk_bytes
    data['nics'] = [_without_none(nic) for nic in data['nics']]
    return _without_none(data)


def of_node(node: str, cloud: str | None = None) -> hardware.Hardware:
    """Return the hardware of a node; NICs in the order of its ports.

    :param node: name or UUID.
    :param cloud: entry of clouds.yaml; what the environment says (OS_CLOUD,
        else OS_*) where it is None.
    :raises NodeUnknown: Ironic does not answer, or has no such node.
    :raises NotInspected: it has none of this of the node.
    :raises SdkMissing: see `cloud.sdk`.
    """
    sdk = clouds.sdk()
    try:
        baremetal = sdk.connect(cloud).baremetal
        found = baremetal.get_node(node)
        whole = baremetal.get_node_inventory(found)
        ports = list(baremetal.ports(details=True, node=found.id))
    except sdk.exceptions.NotFoundException as exc:
        raise exception.NotInspected(node=node, why=exc) from exc
    except sdk.exceptions.SDKException as exc:
        raise exception.NodeUnknown(node=node, why=exc) from exc
    ports.sort(key=lambda port: (not port.is_pxe_enabled, port.created_at))
    return of_inventory(node, whole, [port.address for port in ports])


def of_inventory(
    node: str, whole: Mapping[str, Any], macs: list[str]
) -> hardware.Hardware:
    """Return the hardware in an inventory.

    :param whole: `inventory` and `plugin_data`, as Ironic returns them.
    :param macs: of the NICs that come first, in their order.
    :raises NotInspected: it has none.
    """
    data = (whole.get('plugin_data') or {}).get(KEY)
    if data is None:
        raise exception.NotInspected(
            node=node, why=f'its inventory has no {KEY}'
        )
    found = hardware.from_mapping(node, data)
    return found.first(macs)


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}
