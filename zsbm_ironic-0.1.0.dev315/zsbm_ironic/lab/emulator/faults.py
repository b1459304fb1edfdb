# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a BMC, switched on and off while it serves.

Read by both protocol servers for each packet or request; written by tests and
by the control socket.
"""

import dataclasses
import random
import time


@dataclasses.dataclass
class Faults:
    """Faults of one BMC; the default is none.

    :ivar off: no answer at all, as from a BMC without power.
    :ivar wrong_password: refuse the password that is right.
    :ivar drop_percent: share of packets (IPMI) or connections (Redfish)
        that vanish.
    :ivar delay_s: seconds by which every answer is late.
    """

    off: bool = False
    wrong_password: bool = False
    drop_percent: int = 0
    delay_s: float = 0.0
    _silent_until: float = 0.0
    # One seed: a test that fails can be run again with the same losses.
    _random: random.Random = dataclasses.field(
        default_factory=lambda: random.Random(2026)  # noqa: S311
    )

    @property
    def is_silent(self) -> bool:
        """Whether the BMC answers nothing just now."""
        return self.off or time.monotonic() < self._silent_until

    def loses_packet(self) -> bool:
        """Decide for one packet; each call is another packet."""
        if self.is_silent:
            return True
        return self._random.uniform(0, 100) < self.drop_percent

    def silence(self, seconds: float) -> None:
        """Answer nothing for a while, as a BMC that restarts."""
        self._silent_until = time.monotonic() + seconds
