# SPDX-License-Identifier: Apache-2.0
"""What sensors a BMC has: its own descriptions, one copy of equal ones.

pyghmi takes those of any BMC of the same model and firmware whose repository
has the same time stamp, which many leave at zero: a server with more drives
than its neighbour would have the neighbour's. Called by `ipmi` at the first
question for sensors of a session.
"""

import dataclasses
import hashlib
import itertools
import weakref
from typing import Any

from pyghmi.ipmi import sdr

# IPMI v2.0 section 33.9: Get SDR Repository Info; its two time stamps.
_STORAGE, _REPOSITORY_INFO = 0x0A, 0x20
_STAMPS = slice(5, 13)


@dataclasses.dataclass(frozen=True, eq=False)
class _Shared:
    """Is there for as long as some BMC has it."""

    sensors: dict[str, Any]
    fru: dict[int, Any]


_numbers = itertools.count()
_known: weakref.WeakValueDictionary[bytes, _Shared] = (
    weakref.WeakValueDictionary()
)


class Descriptions(sdr.SDR):
    """Sensors of one BMC, read from it.

    :ivar sensors: by number; one object for all BMCs that have the same.
    """

    def __init__(self, command: Any) -> None:
        """Read them.

        :param command: pyghmi's, of a session.
        """
        self._digest = hashlib.sha256()
        stamped = _Stamped(command)
        super().__init__(stamped)
        self.ipmicmd = weakref.proxy(command)
        sdr.shared_sdrs.pop(
            (
                *(self.fw_major, self.fw_minor, self.mfg_id, self.prod_id),
                *(self.device_id, stamped.number),
            ),
            None,
        )
        read = vars(self)
        self._shared = _known.setdefault(
            self._digest.digest(), _Shared(read['sensors'], read['fru'])
        )
        self.sensors = self._shared.sensors
        self.fru = self._shared.fru

    def add_sdr(self, sdrbytes: bytes) -> None:
        """Take a record, and note what is in it."""
        self._digest.update(bytes(sdrbytes))
        super().add_sdr(sdrbytes)


class _Stamped:
    """A command to which each repository has a time stamp of its own."""

    def __init__(self, command: Any) -> None:
        self._command = command
        self.number = next(_numbers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._command, name)

    def xraw_command(self, netfn: int, command: int, **how: Any) -> Any:
        answer = self._command.xraw_command(
            netfn=netfn, command=command, **how
        )
        if (netfn, command) == (_STORAGE, _REPOSITORY_INFO):
            data = bytearray(answer['data'])
            data[_STAMPS] = self.number.to_bytes(8, 'big')
            answer['data'] = data
        return answer
