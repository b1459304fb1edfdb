# SPDX-License-Identifier: Apache-2.0
"""Private-cloud bare metal for OpenStack Ironic: the map of the house.

conf
    Options of every room, one module a group.
common
    The exception tree, the only subprocess call, and the only place that
    touches what ironic keeps private.
drivers
    What a conductor loads: one thin file per ironic interface, each of which
    validates, makes one call into a room below, and records the result.
bmc
    One way to talk to any BMC: IPMI in process, Redfish by sushy, protocol
    detection, certificate trust, held sessions.
netboot
    Management-node PXE: what to serve to each MAC, the service that serves
    it, the loader per firmware and architecture, the timeline of a boot.
machine
    Starts, watches and stops one QEMU machine.
image
    Whether an image boots on given hardware, and why not: `zsbm-image`.
ramdisk
    The in-band steps: a hardware manager of ironic-python-agent.
network
    From a server to its networks: plan, change, verify, explain, by what its
    switch has, read back; ironic's network interfaces.
monitoring
    Servers and their systems as Prometheus metrics; alerts and whom they call.
status
    `zsbm-status`: settings of a host, upgrade check, leaving.
osc
    Commands of `openstack baremetal`.
lab
    QEMU machines behind emulated BMCs and a real Ironic: `zsbm-lab`. Nothing
    imports it but tests, tools and devstack.

Rooms other than `drivers` know no ironic, but for the interfaces in `network`;
`ramdisk` knows its agent only.
"""
