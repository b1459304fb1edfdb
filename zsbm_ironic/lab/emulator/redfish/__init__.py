# SPDX-License-Identifier: Apache-2.0
"""The Redfish side of an emulated BMC.

server
    HTTPS, faults, and sushy-tools' application for one chassis.
fleet
    The same once for all BMCs of a network.
driver, pages
    What the application is told, and what it does not say by itself.
auth, certificate, events
    Basic authentication, sessions, a factory certificate.
"""

from zsbm_ironic.lab.emulator.redfish.fleet import Fleet, Member
from zsbm_ironic.lab.emulator.redfish.server import RedfishSettings, Server

__all__ = ('Fleet', 'Member', 'RedfishSettings', 'Server')
