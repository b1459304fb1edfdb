# SPDX-License-Identifier: Apache-2.0
"""The IPMI v2.0 side of an emulated BMC.

wire
    One UDP socket and one thread, for one BMC or a thousand.
server
    A BMC with many sessions; built on pyghmi's `Bmc`.
session
    The login: cipher suites 3 and 17.
app, control, storage, transport
    The commands; sdr and fru lay out what they show.
sol
    The serial port of the machine over LAN.
"""

from zsbm_ironic.lab.emulator.ipmi import app, control, storage, transport
from zsbm_ironic.lab.emulator.ipmi.server import Bmc, IpmiSettings
from zsbm_ironic.lab.emulator.ipmi.wire import Wire

#: Importing these modules is what fills the table of commands.
COMMAND_MODULES = (app, control, storage, transport)

__all__ = ('Bmc', 'COMMAND_MODULES', 'IpmiSettings', 'Wire')
