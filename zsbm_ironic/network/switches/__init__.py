# SPDX-License-Identifier: Apache-2.0
"""Ask a switch what it has, before and after Neutron has bound a port.

settings
    Reads how to reach each switch from the file that Neutron has.
platforms
    `login` to one of them: the kinds of switch that can be asked.
base
    The questions, the values that come back, what may be asked for.
session
    One login by SSH: limits of time and size, faults by their remedy.
ovs, cisco, arista
    One kind of switch each: its commands and how its answers are read.

Nothing here changes anything on a switch.
"""
