# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in the lab, in the tree of `common.exception`.

::

    ZsbmError
    |-- FixSettings
    |   `-- LabSettingInvalid, RootNeeded, EmulatorRefused
    `-- GiveUp
        `-- LabProcessFailed, LabStepFailed

Here and not there: nobody meets these outside of the lab.
"""

from zsbm_ironic.common import exception


class LabSettingInvalid(exception.FixSettings):
    """A file that describes the lab is not as documented."""

    template = '{where}: {what}. See the example that the package ships.'
    EXAMPLE = {'where': 'machines.toml', 'what': 'no list of machines'}


class LabProcessFailed(exception.GiveUp):
    """A process of the lab ended or did not come up."""

    template = (
        'Process {name} of the lab failed: {why}. The end of {log}:\n{tail}'
    )
    EXAMPLE = {
        'name': 'ironic',
        'why': 'it ended with 1',
        'log': 'ironic.log',
        'tail': 'Address already in use',
    }


class LabStepFailed(exception.GiveUp):
    """A step of a server's journey through the lab failed."""

    template = 'Machine {machine}: step {step} failed: {error}'
    EXAMPLE = {
        'machine': 'metal-uefi',
        'step': 'deploy',
        'error': 'the image checksum does not match',
    }


class RootNeeded(exception.FixSettings):
    """A step needs the rights of root."""

    template = '{what}: root is needed for this. Run it with sudo.'
    EXAMPLE = {'what': 'the deploy ramdisk'}


class EmulatorRefused(exception.FixSettings):
    """An emulated BMC cannot do what was asked over its control socket."""

    template = 'The emulator refused {request}: {answer}.'
    EXAMPLE = {'request': 'link', 'answer': "Device 'net9' not found"}
