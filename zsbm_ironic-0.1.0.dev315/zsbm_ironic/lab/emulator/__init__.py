# SPDX-License-Identifier: Apache-2.0
"""Emulated BMCs: what a person's `ipmitool` or an Ironic talks to.

chassis, qemu, sensors
    The hardware: state in memory, or a QEMU machine.
ipmi, redfish
    The protocols.
faults, control
    What can be wrong, and how to ask for it while it runs.
config, service
    One BMC put together; ``python -m zsbm_ironic.lab.emulator CONFIG.json``.
fixtures
    The same for tests, in their own process.
"""
