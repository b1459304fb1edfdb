# SPDX-License-Identifier: Apache-2.0
"""Vendor interface `zsbm`: what upstream's API has no place for, read-only.

`GET /v1/nodes/{node}/vendor_passthru/boot_timeline` answers
`openstack baremetal node boot timeline` and reads files of this conductor and
of its zsbm-netboot; `network_check` answers `openstack baremetal node network
check` and asks Neutron. Nothing is changed, so a node that is locked answers
too.
"""

import dataclasses
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.conductor import task_manager
from ironic.drivers import base

from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import events
from zsbm_ironic.drivers.translate import translated
from zsbm_ironic.netboot import status, timeline
from zsbm_ironic.network import checked


class ZsbmVendor(base.VendorInterface):
    """Read-only answers about a node that uses the hardware type `zsbm`."""

    def get_properties(self) -> dict[str, str]:
        """Return no keys: nothing of driver_info is read."""
        return {}

    def validate(
        self,
        task: task_manager.TaskManager,
        method: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Accept any node: there is nothing that could be set wrongly."""

    @base.passthru(
        ['GET'],
        async_call=False,
        require_exclusive_lock=False,
        description='What happened while the node booted or was deployed.',
    )
    def boot_timeline(
        self, task: task_manager.TaskManager, **kwargs: Any
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the events of the node by time, the oldest first.

        The conductor keeps its own by node, zsbm-netboot by MAC.

        :returns: `{'events': [{timestamp, source, name, mac, detail}]}`;
            `timestamp` is seconds since the epoch.
        """
        service = status.Status(CONF.zsbm_netboot.status_dir)
        found = timeline.merge(
            events.own_timeline().read(task.node.uuid),
            *(service.events(port.address) for port in task.ports),
        )
        return {'events': [dataclasses.asdict(event) for event in found]}

    @base.passthru(
        ['GET'],
        async_call=False,
        require_exclusive_lock=False,
        description='Whether the node will reach its networks, and why not.',
    )
    @translated
    def network_check(
        self,
        task: task_manager.TaskManager,
        network: str | None = None,
        **kwargs: Any,
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what was found of the networks of the node.

        :param network: name or id of one, checked as that of its user.
        :returns: `{'findings': [{check, state, means, about, detail,
            remedy}]}`; `state` is ok, wrong or unknown.
        :raises InvalidParameterValue: the node has another network interface.
        """
        interface = task.driver.network
        if not isinstance(interface, checked.Checked):
            raise ironic_exception.InvalidParameterValue(
                f'Node {task.node.name or task.node.uuid} has network '
                f'interface {task.node.network_interface}; zsbm-flat, '
                'zsbm-vpc and zsbm-vlan check. Set one: openstack baremetal '
                'node set --network-interface'
            )
        return {
            'findings': [
                dataclasses.asdict(one)
                for one in interface.examine(task, network)
            ]
        }
