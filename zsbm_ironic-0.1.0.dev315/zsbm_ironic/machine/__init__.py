# SPDX-License-Identifier: Apache-2.0
"""One QEMU machine: declared by a spec, started, watched and stopped.

spec
    What the machine is made of.
command, firmware, accelerator
    The command line: devices, firmware files, KVM or software.
newer_qemu
    QEMU and firmware that the host's release does not have.
qmp
    The monitor of a running machine.
machine
    Power, boot order, media, links.
exception
    What can go wrong with it.
"""

from zsbm_ironic.machine.machine import BootChoice, Machine
from zsbm_ironic.machine.spec import (
    BootDevice,
    Disk,
    Firmware,
    MachineSpec,
    Nic,
    from_mapping,
    uuid_of,
)

__all__ = (
    'BootChoice',
    'BootDevice',
    'Disk',
    'Firmware',
    'Machine',
    'MachineSpec',
    'Nic',
    'from_mapping',
    'uuid_of',
)
