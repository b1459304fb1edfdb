# SPDX-License-Identifier: Apache-2.0
"""Network interface `zsbm-flat`: servers and VMs on one provider network.

Upstream's `flat`, that looks before and waits after (see `checked`). A server
is deployed, rescued and serviced in the network of its user, by the port of
its user; cleaning and inspection have networks and ports of their own.

Upstream tells Neutron no place on a switch, and since networking-baremetal 8
no mechanism driver binds such a port. Here the place is told where a port of
the node has it.
"""

from collections.abc import Callable
from typing import Any

from ironic.common import neutron as ironic_neutron
from ironic.drivers.modules.network import flat

from zsbm_ironic.network import by_neutron
from zsbm_ironic.network.checked import Purpose, Task


class ZsbmFlatNetwork(by_neutron.ByNeutron, flat.FlatNetwork):
    """One network for all; a switch need not be configured for it."""

    needs_link = False
    own_ports = frozenset({Purpose.CLEANING, Purpose.INSPECTION})

    def _enter(
        self,
        task: Task,
        purpose: Purpose,
        enter: Callable[[Task], Any],
    ) -> Any:
        if purpose in self.own_ports:
            return super()._enter(task, purpose, enter)

        def told(task: Task) -> Any:
            _tell_places(task)
            return enter(task)

        return super()._enter(task, purpose, told)


def _tell_places(task: Task) -> None:
    """Tell Neutron where each port of the user is plugged in, if it is said.

    Before upstream tells it the host, which is when it binds.
    """
    for one in (*task.ports, *task.portgroups):
        vif = one.internal_info.get('tenant_vif_port_id')
        places = by_neutron.places_of(task, one)
        if vif and places:
            ironic_neutron.update_neutron_port(
                task.context,
                vif,
                {'binding:profile': {'local_link_information': places}},
            )
