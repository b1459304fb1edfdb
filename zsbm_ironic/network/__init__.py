# SPDX-License-Identifier: Apache-2.0
"""From a server to its networks: plan, change, verify, explain.

finding
    What a check found: its state, who said so, what to do.
wiring
    Ports, networks, segments and agents as values.
neutron
    Reads them by Neutron's API.
plan, vlans
    Hold them against each other, before anything is touched.
sight
    Holds what the server itself saw against them: links, LLDP, packet sizes.
switches
    Asks a switch what it really has: read only, by its own command line.
readback
    Holds its answers against them.
binding
    Waits until Neutron has bound a port, or says why it has not.
metadata
    Has the OS of a server told of its bonds and trunks.
checked
    All of this around each change of upstream's network interfaces.
by_neutron, flat, vpc
    Ironic's network interfaces `zsbm-flat` and `zsbm-vpc`.
vlan
    `zsbm-vlan`, by ironic-networking and without Neutron.

Only checked and those after it import ironic.
"""
