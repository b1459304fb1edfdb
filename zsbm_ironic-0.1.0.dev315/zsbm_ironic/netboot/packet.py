# SPDX-License-Identifier: Apache-2.0
"""DHCP packets: made and read, as far as looking for servers needs it.

Called by `neighbours`. Layout of the message: RFC 2131, section 2; options:
RFC 2132. Ethernet, IP and UDP headers are ours too, because a probe must come
from a MAC that no interface here has.
"""

import dataclasses
import ipaddress
import struct

MAGIC = b'\x63\x82\x53\x63'
BROADCAST_MAC = b'\xff' * 6
SERVER_PORT, CLIENT_PORT = 67, 68
ETHERTYPE_IPV4, PROTOCOL_UDP = 0x0800, 17

PAD, END = 0, 255
REQUESTED_ADDRESS, MESSAGE_TYPE, SERVER_ID = 50, 53, 54
PARAMETERS, CLIENT_ID = 55, 61
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5

_FIXED = '!BBBBIHH4s4s4s4s16s64s128s'
_HEADER_BYTES = struct.calcsize(_FIXED) + len(MAGIC)


def mac_bytes(mac: str) -> bytes:
    """Return the six bytes of a MAC written with colons."""
    return bytes.fromhex(mac.replace(':', ''))


def mac_text(raw: bytes) -> str:
    """Return a MAC written with colons."""
    return raw.hex(':')


@dataclasses.dataclass(frozen=True)
class Message:
    """A DHCP message.

    :ivar options: value of each option by its code.
    :ivar client: `ciaddr`; :ivar offered: `yiaddr`; :ivar server: `siaddr`;
    :ivar relay: `giaddr`.
    """

    operation: int
    transaction: int
    mac: str
    options: dict[int, bytes]
    client: str = '0.0.0.0'  # noqa: S104 - no address yet, not a bind
    offered: str = '0.0.0.0'  # noqa: S104
    server: str = '0.0.0.0'  # noqa: S104
    relay: str = '0.0.0.0'  # noqa: S104
    file: bytes = b''
    broadcast: bool = True

    @property
    def kind(self) -> int:
        """The message type of option 53; 0 where there is none."""
        return int.from_bytes(self.options.get(MESSAGE_TYPE, b''), 'big')

    @property
    def server_id(self) -> str:
        """Address of the server that speaks, empty where it is not told."""
        raw = self.options.get(SERVER_ID, b'')
        return str(ipaddress.IPv4Address(raw)) if len(raw) == 4 else ''

    def to_bytes(self) -> bytes:
        """Return the message as UDP carries it."""
        fixed = struct.pack(
            _FIXED,
            self.operation,
            1,
            6,
            0,
            self.transaction,
            0,
            0x8000 if self.broadcast else 0,
            *(
                ipaddress.IPv4Address(address).packed
                for address in (
                    self.client,
                    self.offered,
                    self.server,
                    self.relay,
                )
            ),
            mac_bytes(self.mac),
            b'',
            self.file,
        )
        options = b''.join(
            bytes([code, len(value)]) + value
            for code, value in self.options.items()
        )
        return (fixed + MAGIC + options + bytes([END])).ljust(300, b'\0')


def parse(raw: bytes) -> Message | None:
    """Read a message; None where it is none."""
    if len(raw) < _HEADER_BYTES or raw[_HEADER_BYTES - 4 :][:4] != MAGIC:
        return None
    words = struct.unpack(_FIXED, raw[: _HEADER_BYTES - 4])
    client, offered, server, relay = (
        str(ipaddress.IPv4Address(word)) for word in words[7:11]
    )
    return Message(
        operation=words[0],
        transaction=words[4],
        mac=mac_text(words[11][:6]),
        options=_options(raw[_HEADER_BYTES:]),
        client=client,
        offered=offered,
        server=server,
        relay=relay,
        file=words[13].rstrip(b'\0'),
        broadcast=bool(words[6] & 0x8000),
    )


def _options(raw: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position < len(raw) and raw[position] != END:
        code = raw[position]
        position += 1
        if code == PAD:
            continue
        if position >= len(raw):
            break
        length = raw[position]
        value = raw[position + 1 : position + 1 + length]
        found[code] = found.get(code, b'') + value
        position += 1 + length
    return found


def frame(message: Message) -> bytes:
    """Wrap a client's broadcast in UDP, IP and Ethernet, from its MAC."""
    payload = message.to_bytes()
    udp = struct.pack('!HHHH', CLIENT_PORT, SERVER_PORT, 8 + len(payload), 0)
    header = struct.pack(
        '!BBHHHBBH4s4s',
        0x45,
        0,
        20 + len(udp) + len(payload),
        0,
        0,
        64,
        PROTOCOL_UDP,
        0,
        b'\0' * 4,
        b'\xff' * 4,
    )
    checksum = struct.pack('!H', _checksum(header))
    header = header[:10] + checksum + header[12:]
    ethernet = BROADCAST_MAC + mac_bytes(message.mac)
    ethernet += struct.pack('!H', ETHERTYPE_IPV4)
    return ethernet + header + udp + payload


def unframe(raw: bytes) -> tuple[str, str, Message] | None:
    """Return MAC and address of the sender, and the message of a server.

    None where the frame holds no DHCP message to a client.
    """
    if len(raw) < 42 or raw[12:14] != struct.pack('!H', ETHERTYPE_IPV4):
        return None
    length = (raw[14] & 0x0F) * 4
    if raw[14 + 9] != PROTOCOL_UDP:
        return None
    udp = raw[14 + length :]
    if len(udp) < 8 or udp[:4] != struct.pack('!HH', SERVER_PORT, CLIENT_PORT):
        return None
    message = parse(udp[8:])
    if message is None:
        return None
    return (
        mac_text(raw[6:12]),
        str(ipaddress.IPv4Address(raw[26:30])),
        message,
    )


def _checksum(header: bytes) -> int:
    total = sum(struct.unpack(f'!{len(header) // 2}H', header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
