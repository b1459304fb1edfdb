# SPDX-License-Identifier: Apache-2.0
"""The kinds of switch that can be asked.

Imported by `login` when the first switch is asked, because of netmiko.
"""

from zsbm_ironic.network.switches import arista, cisco, ovs

# By device_type of networking-generic-switch.
PLATFORMS: dict[str, type[arista.Eos | cisco.Ios | ovs.Ovs]] = {
    'netmiko_arista_eos': arista.Eos,
    'netmiko_cisco_ios': cisco.Ios,
    'netmiko_cisco_nxos': cisco.Nxos,
    'netmiko_ovs_linux': ovs.Ovs,
}
