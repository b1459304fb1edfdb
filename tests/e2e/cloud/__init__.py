# SPDX-License-Identifier: Apache-2.0
"""Servers beside VMs: a whole small OpenStack, driven as its users do.

test_servers
    A member's servers and VMs in one network, and in a VPC; as tunnels.
test_members
    What a member does with a server, and may not do with that of another.
test_links
    Bonds, trunks, and who serves addresses.
test_wiring
    What is wrong with the fabric is found before an image is written.
test_dashboard
    Horizon in a browser.
"""
