# SPDX-License-Identifier: Apache-2.0
"""Network interface `zsbm-vpc`: servers in tenants' networks, by Neutron.

Upstream's `neutron`, that looks before and waits after (see `checked`): a
network for each purpose, and the switch moves the port between them.
"""

from ironic.drivers.modules.network import neutron

from zsbm_ironic.network import by_neutron


class ZsbmVpcNetwork(by_neutron.ByNeutron, neutron.NeutronNetwork):
    """Each network is entered by a port of Neutron that a switch follows."""
