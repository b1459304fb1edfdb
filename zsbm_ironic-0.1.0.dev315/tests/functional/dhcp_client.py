# SPDX-License-Identifier: Apache-2.0
"""A DHCP client that can be any firmware, on an interface of a namespace."""

import ctypes
import ipaddress
import os
import secrets
import socket
import struct
import threading
import time

from zsbm_ironic.netboot import packet

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3

VENDOR_CLASS, USER_CLASS, CLIENT_ARCH, UUID, IPXE = 60, 77, 93, 97, 175
WANTED = bytes([1, 3, 6, 43, 60, 66, 67, 150, IPXE])


def socket_in(namespace, *arguments):
    """Open a socket in a network namespace: it stays there."""
    opened = []

    def enter():
        handle = os.open(f'/run/netns/{namespace}', os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(handle, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns')
            opened.append(socket.socket(*arguments))
        finally:
            os.close(handle)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return opened[0]


def firmware(arch=None, http=False, ipxe=False):
    """Return the options by which firmware says what it is.

    :param arch: processor architecture type, option 93.
    """
    options = {}
    if arch is not None:
        name = 'HTTPClient' if http else 'PXEClient'
        text = f'{name}:Arch:{arch:05d}:UNDI:003016'
        options[VENDOR_CLASS] = text.encode()
        options[CLIENT_ARCH] = struct.pack('!H', arch)
        options[UUID] = b'\0' + b'\x11' * 16
    if ipxe:
        options[USER_CLASS] = b'iPXE'
        options[IPXE] = b'\xb1\x05\x01\x80\x86\x10\x0e'
    return options


class Client:
    """A machine on the wire.

    :param mac: any, whatever the interface has.
    :param options: what `firmware` returned.
    """

    def __init__(self, namespace, mac, options=None, interface='eth0'):
        self.mac = mac
        self._options = options or {}
        self._socket = socket_in(
            namespace, socket.AF_PACKET, socket.SOCK_RAW, ETH_P_ALL
        )
        self._socket.bind((interface, packet.ETHERTYPE_IPV4))
        self._transaction = secrets.randbits(32)

    def close(self):
        self._socket.close()

    def discover(self, timeout_s=3.0):
        """Return the first OFFER, None if nobody answers."""
        return self._ask(packet.DISCOVER, {}, timeout_s)

    def offers(self, wait_s=3.0):
        """Return every OFFER that comes within wait_s seconds."""
        self._send(packet.DISCOVER, {})
        return list(self._heard(wait_s))

    def request(self, offer, timeout_s=3.0):
        """Take an offer; return ACK or NAK."""
        address = ipaddress.IPv4Address(offer.offered).packed
        options = {
            packet.REQUESTED_ADDRESS: address,
            packet.SERVER_ID: offer.options[packet.SERVER_ID],
        }
        return self._ask(packet.REQUEST, options, timeout_s)

    def lease(self):
        """Return the ACK of a whole conversation, None without an offer."""
        offer = self.discover()
        return None if offer is None else self.request(offer)

    def _ask(self, kind, options, timeout_s):
        self._send(kind, options)
        return next(self._heard(timeout_s), None)

    def _send(self, kind, options):
        message = packet.Message(
            operation=1,
            transaction=self._transaction,
            mac=self.mac,
            options={
                packet.MESSAGE_TYPE: bytes([kind]),
                packet.PARAMETERS: WANTED,
                **self._options,
                **options,
            },
        )
        self._socket.send(packet.frame(message))

    def _heard(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                heard = packet.unframe(self._socket.recv(2048))
            except TimeoutError:
                return
            if heard and heard[2].transaction == self._transaction:
                yield heard[2]


def bootfile(message):
    """Return the boot file of an answer, from option or header."""
    raw = message.options.get(67) or message.file
    return raw.rstrip(b'\0').decode()
