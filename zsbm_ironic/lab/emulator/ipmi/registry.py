# SPDX-License-Identifier: Apache-2.0
"""Which function answers which IPMI command, and what they share.

The modules app, control, storage and transport register their commands here
when the package is imported; the server looks them up.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

#: Completion codes, table 5-2.
INVALID_COMMAND = 0xC1
LENGTH_INVALID = 0xC7
INVALID_FIELD = 0xCC
NOT_PRESENT = 0xCB
PRIVILEGE_TOO_LOW = 0xD4
NOT_IN_THIS_STATE = 0xD5

APP, CHASSIS, SENSOR, STORAGE, TRANSPORT = 0x06, 0x00, 0x04, 0x0A, 0x0C

CLOSE_SESSION = (APP, 0x3C)

#: A boot flag that no chassis control follows is dropped after this time
#: unless the client says not to (table 28-14, parameter 3).
BOOT_FLAG_LIFE_S = 60
KEEP_ON_TIMEOUT = 0x08


class Completion(Exception):
    """Ends a command with a completion code other than 0."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f'completion code {code:#x}')


@dataclasses.dataclass(frozen=True)
class Handler:
    """A command: who may run it, and what it does.

    :ivar privilege: lowest role (0 needs no session, 2 user, 3 operator,
        4 administrator), as appendix G lists it.
    """

    privilege: int
    run: Callable[[Any, Any, bytes], bytes]


COMMANDS: dict[tuple[int, int], Handler] = {}

Run = Callable[[Any, Any, bytes], bytes]


def command(netfn: int, number: int, privilege: int) -> Callable[[Run], Run]:
    """Register a function as one command."""

    def register(run: Run) -> Run:
        COMMANDS[netfn, number] = Handler(privilege, run)
        return run

    return register


@dataclasses.dataclass
class State:
    """What the management controller itself remembers."""

    boot_flag_clearing: int = 0
    boot_set_at: float | None = None
    last_power_event: int = 0
    clock_offset_s: float = 0.0

    def tick(self, bmc: Any, now: float) -> None:
        """Drop a one-time boot flag that nobody used in time."""
        if self.boot_set_at is None:
            return
        if now - self.boot_set_at < BOOT_FLAG_LIFE_S:
            return
        self.boot_set_at = None
        boot = bmc.chassis.boot
        if not self.boot_flag_clearing & KEEP_ON_TIMEOUT and (
            not boot.persistent
        ):
            bmc.chassis.set_boot(type(boot)())

    def clock(self) -> int:
        """Seconds since 1970 as the BMC thinks."""
        return int(time.time() + self.clock_offset_s)
