# SPDX-License-Identifier: Apache-2.0
"""What inspection keeps of a server so that images can be judged for it.

Run by ironic-python-agent as the inspection collector `zsbm`, after its own
ones. What it adds is in the inventory of the node from then on, next to what
upstream collects (`openstack baremetal node inventory save`).
"""

from typing import Any

from ironic_python_agent import errors, hardware

from zsbm_ironic.image import inventory
from zsbm_ironic.ramdisk import this_server

COLLECTOR = 'zsbm'


def collect(data: dict[str, Any], failures: Any) -> None:
    """Add firmware, root disk and NICs, as the kernel names them.

    A server without a disk has nothing to boot an image from, so it has
    none of it.

    :param data: what is told to Ironic; changed here.
    :param failures: of all collectors; left alone.
    """
    try:
        device = hardware.dispatch_to_managers('get_os_install_device')
    except errors.DeviceNotFound:
        return
    sizes = {
        disk.name: disk.size
        for disk in hardware.dispatch_to_managers('list_block_devices')
    }
    macs = [
        one['mac_address']
        for one in data.get('inventory', {}).get('interfaces', ())
    ]
    found = this_server.hardware_of(device, macs)
    data[inventory.KEY] = inventory.kept(found, sizes.get(device))
