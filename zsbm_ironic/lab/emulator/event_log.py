# SPDX-License-Identifier: Apache-2.0
"""What an emulated BMC writes down: the log that IPMI and Redfish show.

Records are those of IPMI (v2.0, table 32-1), which Redfish tells in words.
"""

import dataclasses
import enum

POWER_UNIT = 0x09
ROOM = 512


class PowerEvent(enum.Enum):
    """A change of power: direction and offset of sensor type 0x09."""

    OFF = (0x00, 0)
    ON = (0x80, 0)
    CYCLE = (0x00, 1)


@dataclasses.dataclass
class EventLog:
    """Records, oldest first; further ones are lost where it is full.

    :ivar records: of 16 bytes each.
    :ivar cleared_at: seconds since 1970; 0 is never.
    """

    records: list[bytes] = dataclasses.field(default_factory=list)
    cleared_at: int = 0

    def __len__(self) -> int:
        """Count the records."""
        return len(self.records)

    def record(
        self, sensor_type: int, sensor: int, event: bytes, at: int
    ) -> None:
        """Add a record.

        :param event: event type and direction, then data 1 to 3.
        :param at: seconds since 1970.
        """
        if len(self.records) >= ROOM:
            return
        self.records.append(
            (len(self.records) + 1).to_bytes(2, 'little')
            + b'\x02'
            + at.to_bytes(4, 'little')
            + b'\x20\x00\x04'
            + bytes([sensor_type, sensor])
            + event
        )

    def power(self, event: PowerEvent, at: int) -> None:
        """Add a change of power."""
        direction, offset = event.value
        self.record(
            POWER_UNIT,
            0xFE,
            bytes([0x6F | direction, offset, 0xFF, 0xFF]),
            at,
        )

    def clear(self, at: int) -> None:
        """Drop all records."""
        self.records.clear()
        self.cleared_at = at
