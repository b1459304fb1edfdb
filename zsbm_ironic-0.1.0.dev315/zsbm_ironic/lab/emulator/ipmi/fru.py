# SPDX-License-Identifier: Apache-2.0
"""The FRU inventory: board and product areas.

Laid out as in the IPMI Platform Management FRU Information Storage
Definition, version 1.0.
"""

from zsbm_ironic.lab.emulator import chassis as chassis_room

_ENGLISH = 25
_END_OF_FIELDS = 0xC1

#: Minutes from 1996-01-01 to 2024-01-01: when boards like this were made.
_MADE_MINUTES = 10227 * 24 * 60


def inventory(asset: chassis_room.Asset) -> bytes:
    """Return the whole inventory of FRU 0, padded to 256 bytes or more."""
    board = _area(
        bytes([1, 0, _ENGLISH]) + _MADE_MINUTES.to_bytes(3, 'little'),
        [asset.manufacturer, asset.product, asset.serial_number, 'ZB-1', ''],
    )
    product = _area(
        bytes([1, 0, _ENGLISH]),
        [
            asset.manufacturer,
            asset.product,
            'ZP-1',
            '1.0',
            asset.serial_number,
            asset.name,
            '',
        ],
    )
    board_at = 1
    product_at = board_at + len(board) // 8
    header = bytes([1, 0, 0, board_at, product_at, 0, 0])
    return (header + _checksum(header) + board + product).ljust(256, b'\x00')


def _area(head: bytes, fields: list[str]) -> bytes:
    """Pad to eight bytes, fill in the length, and make the sum zero."""
    body = head + b''.join(
        bytes([0xC0 | len(text)]) + text
        for text in (field.encode()[:63] for field in fields)
    )
    body += bytes([_END_OF_FIELDS])
    body += bytes(-(len(body) + 1) % 8)
    body = bytes([body[0], (len(body) + 1) // 8]) + body[2:]
    return body + _checksum(body)


def _checksum(data: bytes) -> bytes:
    return bytes([-sum(data) & 0xFF])
