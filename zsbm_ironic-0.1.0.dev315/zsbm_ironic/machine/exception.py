# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a QEMU machine, in the tree of `common.exception`.

::

    ZsbmError
    |-- Retry
    |   `-- MachineUnreachable, MachineNotStopped
    |-- FixSettings
    |   `-- MachineInvalid, FirmwareMissing
    `-- GiveUp
        `-- MachineRefused

Here and not there: no conductor has such a machine.
"""

from zsbm_ironic.common import exception


class MachineUnreachable(exception.Retry):
    """QEMU's monitor does not answer."""

    template = 'The machine behind {socket} does not answer: {answer}.'
    EXAMPLE = {
        'socket': '/var/lib/zsbm-lab/m1/qmp.sock',
        'answer': 'Connection refused',
    }


class MachineRefused(exception.GiveUp):
    """QEMU answered a monitor command with an error."""

    template = 'QEMU refused {command}: {answer}.'
    EXAMPLE = {'command': 'set_link', 'answer': "Device 'net9' not found"}


class MachineNotStopped(exception.Retry):
    """QEMU is still there after it was told to end."""

    template = 'Machine {machine} (process {pid}) is still there after {s} s.'
    EXAMPLE = {'machine': 'm1', 'pid': 4711, 's': 10}


class MachineInvalid(exception.FixSettings):
    """A machine is declared in a way that QEMU cannot run."""

    template = 'Machine {machine}: {what}. {remedy}.'
    EXAMPLE = {
        'machine': 'm1',
        'what': 'no disk image /var/lib/zsbm-lab/m1/disk.qcow2',
        'remedy': 'Create it before the machine is started',
    }


class FirmwareMissing(exception.FixSettings):
    """The firmware that a machine is declared with is not on this host."""

    template = 'Machine {machine}: no firmware {firmware}. {remedy}.'
    EXAMPLE = {
        'machine': 'm1',
        'firmware': '/usr/share/OVMF/OVMF_CODE_4M.fd',
        'remedy': 'Install the package ovmf',
    }
