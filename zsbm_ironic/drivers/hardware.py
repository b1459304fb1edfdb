# SPDX-License-Identifier: Apache-2.0
"""Hardware type `zsbm`: which interfaces may be combined on a node.

Ours come first in each list, because the order is ironic's order of
preference among what `enabled_*_interfaces` allows; upstream's follow.
Upstream's power and management are not supported: ours extend them.
"""

from ironic.drivers import generic
from ironic.drivers.modules import agent, ipmitool, noop
from ironic.drivers.modules.redfish import bios as redfish_bios
from ironic.drivers.modules.redfish import boot as redfish_boot
from ironic.drivers.modules.redfish import firmware as redfish_firmware
from ironic.drivers.modules.redfish import (
    graphical_console as redfish_console,
)
from ironic.drivers.modules.redfish import inspect as redfish_inspect
from ironic.drivers.modules.redfish import raid as redfish_raid

from zsbm_ironic.drivers import boot, deploy, management, power, vendor
from zsbm_ironic.network import flat, vlan, vpc

Interfaces = list[type]


class ZsbmHardware(generic.GenericHardware):
    """A server whose BMC speaks Redfish or IPMI."""

    @property
    def supported_power_interfaces(self) -> Interfaces:
        """Ours only: it speaks both protocols."""
        return [power.ZsbmPower]

    @property
    def supported_management_interfaces(self) -> Interfaces:
        """Ours only: it speaks both protocols."""
        return [management.ZsbmManagement]

    @property
    def supported_boot_interfaces(self) -> Interfaces:
        """Ours, upstream's network boot, virtual media last."""
        return [
            boot.ZsbmPxeBoot,
            boot.ZsbmHttpBoot,
            *super().supported_boot_interfaces,
            redfish_boot.RedfishVirtualMediaBoot,
            redfish_boot.RedfishHttpsBoot,
        ]

    @property
    def supported_deploy_interfaces(self) -> Interfaces:
        """Ours, then all of upstream's."""
        return [deploy.ZsbmDeploy, *super().supported_deploy_interfaces]

    @property
    def supported_network_interfaces(self) -> Interfaces:
        """Ours, then all of upstream's."""
        return [
            flat.ZsbmFlatNetwork,
            vpc.ZsbmVpcNetwork,
            vlan.ZsbmVlanNetwork,
            *super().supported_network_interfaces,
        ]

    @property
    def supported_vendor_interfaces(self) -> Interfaces:
        """Ours, or none."""
        return [vendor.ZsbmVendor, noop.NoVendor]

    @property
    def supported_inspect_interfaces(self) -> Interfaces:
        """In-band first: it finds what an IPMI BMC cannot tell."""
        return [
            *super().supported_inspect_interfaces,
            redfish_inspect.RedfishInspect,
        ]

    @property
    def supported_bios_interfaces(self) -> Interfaces:
        """None by default: an IPMI node has no BIOS settings."""
        return [noop.NoBIOS, redfish_bios.RedfishBIOS]

    @property
    def supported_raid_interfaces(self) -> Interfaces:
        """None by default, as upstream's generic type."""
        return [
            noop.NoRAID,
            agent.AgentRAID,
            redfish_raid.RedfishRAID,
        ]

    @property
    def supported_firmware_interfaces(self) -> Interfaces:
        """None by default: an IPMI node has no firmware updates."""
        return [noop.NoFirmware, redfish_firmware.RedfishFirmware]

    @property
    def supported_rescue_interfaces(self) -> Interfaces:
        """By the agent where it is enabled."""
        return [agent.AgentRescue, noop.NoRescue]

    @property
    def supported_console_interfaces(self) -> Interfaces:
        """None unless asked for; serial by IPMI also on a Redfish BMC."""
        return [
            noop.NoConsole,
            ipmitool.IPMISocatConsole,
            redfish_console.RedfishGraphicalConsole,
            *(
                found
                for found in super().supported_console_interfaces
                if found is not noop.NoConsole
            ),
        ]
