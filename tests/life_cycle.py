# SPDX-License-Identifier: Apache-2.0
"""A server's whole life, asked for by openstacksdk's proxy and nothing else.

What a program does that knows Ironic and not us: the same for an emulated
server and for a machine.
"""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Life:
    """How a server is asked for.

    :ivar baremetal: openstacksdk's proxy.
    :ivar seconds: that a change of its state may take.
    :ivar seen: called after each with its verb and the node, where the caller
        looks at the server itself.
    """

    baremetal: Any
    seconds: float
    seen: Callable[[str, Any], None]

    def begin(self, fields: dict[str, Any], macs: list[str]) -> Any:
        """Enrol a server, and verify it; return its node."""
        node = self.baremetal.create_node(**fields)
        for mac in macs:
            self.baremetal.create_port(node_id=node.id, address=mac)
        return self.change(node, 'manage', 'manageable')

    def change(self, node: Any, verb: str, wanted: str, **more: Any) -> Any:
        """Ask for another provision state, and wait for it.

        :raises SDKException: Ironic did not get there.
        """
        self.baremetal.set_node_provision_state(node, verb, **more)
        # Not by `wait`, which knows of no state after `unrescue`.
        (found,) = self.baremetal.wait_for_nodes_provision_state(
            [node], wanted, timeout=self.seconds
        )
        self.seen(verb, found)
        return found

    def power(self, node: Any, target: str, wanted: str) -> None:
        """Ask for a power state, and wait for it."""
        self.baremetal.set_node_power_state(
            node, target, wait=True, timeout=self.seconds
        )
        found = self.baremetal.get_node(node.id)
        if found.power_state != wanted:
            raise AssertionError(f'{found.power_state} after {target}')

    def live(
        self,
        node: Any,
        instance_info: dict[str, Any],
        config_drive: dict[str, Any] | None = None,
    ) -> None:
        """Deliver a server, use it, and take it back.

        :param instance_info: the image, as Ironic is told of it.
        :param config_drive: see `set_node_provision_state`; None: without.
        """
        self.baremetal.set_node_traits(node, ['CUSTOM_FROM_A_CLIENT'])
        self.change(node, 'provide', 'available')
        self.baremetal.update_node(node, instance_info=instance_info)
        # Raises where one of these is not valid.
        self.baremetal.validate_node(
            node, required=('boot', 'deploy', 'management', 'power')
        )
        self.change(node, 'active', 'active', config_drive=config_drive)
        self.power(node, 'power off', 'power off')
        self.power(node, 'power on', 'power on')
        self.change(node, 'rebuild', 'active', config_drive=config_drive)
        self.change(node, 'rescue', 'rescue', rescue_password='not-in-use-1')
        self.change(node, 'unrescue', 'active')
        self.change(node, 'deleted', 'available')

    def end(self, node: Any) -> None:
        """Take it out of Ironic, with all of its ports."""
        self.change(node, 'manage', 'manageable')
        self.baremetal.delete_node(node)
        self.baremetal.wait_for_delete(node)
        left = [
            port
            for port in self.baremetal.ports(details=True)
            if port.node_id == node.id
        ]
        if left:
            raise AssertionError(f'ports are left: {left}')
