# SPDX-License-Identifier: Apache-2.0
"""What inspection keeps of a server: for images, and where its cables end.

Run by ironic-python-agent as the inspection collector `zsbm`, after its own
ones. What it adds is in the inventory of the node from then on, next to what
upstream collects (`openstack baremetal node inventory save`).
"""

import logging
from typing import Any

from ironic_python_agent import errors, hardware

from zsbm_ironic.image import inventory
from zsbm_ironic.ramdisk import seen, this_server, version

COLLECTOR = 'zsbm'
LOG = logging.getLogger(__name__)


def collect(data: dict[str, Any], failures: Any) -> None:
    """Add firmware, root disk and NICs, as the kernel names them, and LLDP.

    Where it cannot be found out, the agent's log says why, and inspection
    goes on without: it matters for images alone. LLDP is what was heard so
    far, in the place of upstream's collector, which waits half a minute; and
    it is tried how large a packet to the conductor may be.

    :param data: what is told to Ironic; changed here.
    :param failures: of all collectors; left alone.
    """
    for add in (_add, _add_network):
        try:
            add(data)
        except Exception:
            LOG.exception('Not all of the server could be found out')


def _add_network(data: dict[str, Any]) -> None:
    heard = seen.LISTENER.heard()
    if heard:
        data.setdefault('lldp_raw', heard)
    data[version.NETWORK_KEY] = seen.packets()


def _add(data: dict[str, Any]) -> None:
    """Add it, unless there is no disk to boot an image from."""
    try:
        device = hardware.dispatch_to_managers('get_os_install_device')
    except errors.DeviceNotFound:
        return
    sizes = {
        disk.name: disk.size
        for disk in hardware.dispatch_to_managers('list_block_devices')
    }
    interfaces = data.get('inventory', {}).get('interfaces', ())
    macs = [one.mac_address for one in interfaces if one.mac_address]
    found = this_server.hardware_of(device, macs)
    data[inventory.KEY] = inventory.kept(found, sizes.get(device))
