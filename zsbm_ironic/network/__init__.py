# SPDX-License-Identifier: Apache-2.0
"""From a server to its networks: plan, change, verify, explain.

finding
    What a check found: its state, who said so, what to do.
wiring
    Ports, networks, segments and agents as values.
neutron
    Reads them by Neutron's API.
plan
    Holds them against each other, before anything is touched.
sight
    Holds what the server itself saw against them: links, LLDP, packet sizes.
switches
    Asks a switch what it really has: read only, by its own command line.
readback
    Holds its answers against them.
binding
    Waits until Neutron has bound a port, or says why it has not.
checked, flat, vpc
    Ironic's network interfaces `zsbm-flat` and `zsbm-vpc`: upstream's, with
    all of this around each change. Only these import ironic.
"""
