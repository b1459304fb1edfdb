# SPDX-License-Identifier: Apache-2.0
"""One QEMU machine: declared by a spec, started, watched and stopped.

spec
    What the machine is made of.
command, firmware, accelerator
    The command line: devices, firmware files, KVM or software.
qmp
    The monitor of a running machine.
machine
    Power, boot order, media, links.
"""

from zsbm_ironic.machine.machine import BootChoice
from zsbm_ironic.machine.machine import Machine
from zsbm_ironic.machine.spec import BootDevice
from zsbm_ironic.machine.spec import Disk
from zsbm_ironic.machine.spec import Firmware
from zsbm_ironic.machine.spec import from_mapping
from zsbm_ironic.machine.spec import MachineSpec
from zsbm_ironic.machine.spec import Nic

__all__ = (
    'BootChoice',
    'BootDevice',
    'Disk',
    'Firmware',
    'Machine',
    'MachineSpec',
    'Nic',
    'from_mapping',
)
