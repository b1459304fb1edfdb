# SPDX-License-Identifier: Apache-2.0
"""What the service says and hears on the wire itself, beside dnsmasq.

Two small things, each on the provisioning interface alone: looks for other
DHCP servers, and answers IPv6 router solicitations. Called by the main loop,
never blocks; a socket that the host refuses is one sentence in the status and
no reason to stop serving.
"""

import ctypes
import logging
import secrets
import socket
import struct
import time
from collections.abc import Callable

from zsbm_ironic.netboot import packet, settings, status

LOG = logging.getLogger(__name__)

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
ICMPV6_FILTER = 1  # linux/icmpv6.h
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134  # RFC 4861, section 4
ALL_ROUTERS = 'ff02::2'
# A server that has been silent for so many looks is held to be gone.
FORGET_AFTER = 4
FORGET_AT_LEAST_S = 120.0
MAX_SERVERS = 16

# UDP from port 67 to 68, first fragment, in the kernel: else each packet of
# each image would be copied to us (classic BPF, linux/filter.h).
_FROM_SERVERS = (
    (0x28, 0, 0, 12),
    (0x15, 0, 10, packet.ETHERTYPE_IPV4),
    (0x30, 0, 0, 23),
    (0x15, 0, 8, packet.PROTOCOL_UDP),
    (0x28, 0, 0, 20),
    (0x45, 6, 0, 0x1FFF),
    (0xB1, 0, 0, 14),
    (0x48, 0, 0, 14),
    (0x15, 0, 3, packet.SERVER_PORT),
    (0x48, 0, 0, 16),
    (0x15, 0, 1, packet.CLIENT_PORT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


class Neighbours:
    """The sockets of the service on the provisioning interface."""

    def __init__(self, own: settings.Settings) -> None:
        self._own = own
        self._servers: dict[str, status.ForeignServer] = {}
        self._next_look = 0.0
        self._trouble: dict[str, str] = {}
        self._dhcp: socket.socket | None = None
        self._routers: socket.socket | None = None

    @property
    def foreign_servers(self) -> tuple[status.ForeignServer, ...]:
        """DHCP servers that are none of ours and not known."""
        return tuple(self._servers.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """What the host refuses, in sentences."""
        return tuple(self._trouble.values())

    def tick(self) -> None:
        """Do what is due."""
        if self._own.rogue_probe_interval_s:
            self._try(self._look, 'Other DHCP servers are not looked for')
        if self._own.router_advertisements:
            self._try(
                self._advertise, 'IPv6 router solicitations are not answered'
            )

    def close(self) -> None:
        """Close the sockets."""
        for opened in (self._dhcp, self._routers):
            if opened is not None:
                opened.close()
        self._dhcp = self._routers = None

    def _try(self, action: Callable[[], None], complaint: str) -> None:
        try:
            action()
        except OSError as exc:
            if complaint not in self._trouble:
                LOG.warning(
                    '%s on %s: %s', complaint, self._own.interface, exc
                )
            self._trouble[complaint] = (
                f'{complaint} on {self._own.interface}: {exc}.'
            )
            # The interface may have been made anew: opened again next time.
            self.close()
        else:
            self._trouble.pop(complaint, None)

    def _look(self) -> None:
        if self._dhcp is None:
            self._dhcp = _dhcp_socket(self._own.interface)
        self._hear(self._dhcp)
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self._own.rogue_probe_interval_s
            self._forget()
            self._dhcp.send(packet.frame(_probe()))

    def _hear(self, opened: socket.socket) -> None:
        while True:
            try:
                raw, sender = opened.recvfrom(2048)
            except BlockingIOError:
                return
            outgoing = sender[2] == socket.PACKET_OUTGOING
            heard = None if outgoing else packet.unframe(raw)
            if heard is not None:
                self._judge(*heard)

    def _judge(self, mac: str, source: str, message: packet.Message) -> None:
        if message.kind not in (packet.OFFER, packet.ACK):
            return
        address = message.server_id or source
        ours = {str(self._own.listen_address), *self._own.known_dhcp_servers}
        if address in ours or len(self._servers) >= MAX_SERVERS:
            return
        if address not in self._servers:
            LOG.warning(
                'Another DHCP server answers on %s: %s (MAC %s) offered %s '
                'to %s.',
                self._own.interface,
                address,
                mac,
                message.offered,
                message.mac,
            )
        self._servers[address] = status.ForeignServer(
            address, mac, message.offered, time.time()
        )

    def _forget(self) -> None:
        interval = self._own.rogue_probe_interval_s
        limit = max(interval * FORGET_AFTER, FORGET_AT_LEAST_S)
        for address, server in list(self._servers.items()):
            if time.time() - server.seen > limit:
                LOG.info('The DHCP server %s is silent now.', address)
                del self._servers[address]

    def _advertise(self) -> None:
        if self._routers is None:
            self._routers = _router_socket(self._own.interface)
        while True:
            try:
                raw, sender = self._routers.recvfrom(512)
            except BlockingIOError:
                return
            if raw[:1] == bytes([ROUTER_SOLICITATION]):
                # Lifetime 0 and no flags: no router, no prefix, no DHCPv6.
                answer = struct.pack(
                    '!BBHBBHII', ROUTER_ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0
                )
                self._routers.sendto(answer, sender)


def _probe() -> packet.Message:
    # Locally administered, so that it meets no machine (IEEE 802).
    mac = packet.mac_text(b'\x02zsb' + secrets.token_bytes(2))
    return packet.Message(
        operation=1,
        transaction=secrets.randbits(32),
        mac=mac,
        options={
            packet.MESSAGE_TYPE: bytes([packet.DISCOVER]),
            packet.PARAMETERS: bytes([1, 3, 6]),
        },
    )


def _dhcp_socket(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    program = b''.join(
        struct.pack('HBBI', *instruction) for instruction in _FROM_SERVERS
    )
    buffer = ctypes.create_string_buffer(program)
    described = struct.pack('HP', len(_FROM_SERVERS), ctypes.addressof(buffer))
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)
        opened.setblocking(False)
        opened.bind((interface, packet.ETHERTYPE_IPV4))
    except OSError:
        opened.close()
        raise
    return opened


def _router_socket(interface: str) -> socket.socket:
    index = socket.if_nametoindex(interface)
    opened = socket.socket(
        socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6
    )
    blocked = bytearray(b'\xff' * 32)
    blocked[ROUTER_SOLICITATION // 8] &= ~(1 << (ROUTER_SOLICITATION % 8))
    group = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS)
    try:
        opened.setsockopt(
            socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode()
        )
        opened.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, bytes(blocked))
        for option in (
            socket.IPV6_UNICAST_HOPS,
            socket.IPV6_MULTICAST_HOPS,
        ):
            opened.setsockopt(socket.IPPROTO_IPV6, option, 255)
        opened.setsockopt(
            socket.IPPROTO_IPV6,
            socket.IPV6_JOIN_GROUP,
            group + struct.pack('@i', index),
        )
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened
