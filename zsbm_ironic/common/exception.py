# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, sorted by what the caller should do about it.

::

    ZsbmError
    |-- Retry          the next try may work: nothing has to be changed
    |   |-- ProcessTimedOut
    |   `-- BmcUnreachable, BmcBusy ...
    |-- FixSettings    a person has to change a setting, which is named
    |   `-- BmcCredentialsRefused, BmcCertificateUntrusted ...
    `-- GiveUp         neither a retry nor a setting helps
        `-- ProcessFailed, BmcUnsupported ...

Plain exceptions that import no ironic: the drivers translate them, once, into
ironic's own. A message says what, where, what the other side answered, and
the remedy. Every class here is rendered by a unit test from `EXAMPLE`.
"""

from typing import Any, ClassVar


class ZsbmError(Exception):
    """Base of all our errors; the message is `template` with the fields."""

    template: ClassVar[str] = 'An unknown zsbm-ironic error occurred.'
    EXAMPLE: ClassVar[dict[str, Any]] = {}

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        super().__init__(self.template.format(**fields))


class Retry(ZsbmError):
    """The next try may work."""


class FixSettings(ZsbmError):
    """A person has to change the setting that the message names."""


class GiveUp(ZsbmError):
    """Neither a retry nor a setting helps."""


class ProcessTimedOut(Retry):
    """A program ran longer than its limit and was killed."""

    template = '{program} was still running after {timeout_s} s: killed.'
    EXAMPLE = {'program': 'qemu-img info disk.qcow2', 'timeout_s': 30}


class ProcessFailed(GiveUp):
    """A program could not be started or ended with an error."""

    template = '{program} ended with exit status {returncode}: {stderr}'
    EXAMPLE = {
        'program': 'qemu-img info disk.qcow2',
        'returncode': 1,
        'stderr': 'Could not open disk.qcow2',
    }
