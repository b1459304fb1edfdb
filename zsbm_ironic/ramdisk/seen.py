# SPDX-License-Identifier: Apache-2.0
"""What this server sees of its network: links, LLDP, the size of packets.

The agent listens for LLDP from its start on, beside what it does, because a
switch sends it each half minute: whoever asks later need not wait. Used by the
hardware manager and by inspection; says what it saw and judges nothing.
"""

import logging
import os
import pathlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib import parse

from ironic_python_agent import hardware
from oslo_config import cfg

LOG = logging.getLogger(__name__)
# Of an IPv4 header and one of ICMP echo (RFC 792).
_HEADERS = 28
_ECHO, _REPLY = 8, 0
TRIES = 3
TRY_S = 0.5
_LINKS = pathlib.Path('/sys/class/net')
# Of Ethernet.
_USUAL_MTU = 1500
# From linux/in.h.
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3

Tlvs = list[tuple[int, str]]


class Listener:
    """Hears LLDP once at each NIC, for as long as the agent listens.

    A thread for each: the agent tells of several when all of them were heard.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._heard: dict[str, Tlvs] = {}

    def start(self) -> None:
        """Begin to listen; a second call changes nothing."""
        if not self._threads:
            self._run(self._listen)

    def heard(self, wait_s: float = 0.0) -> dict[str, Tlvs]:
        """Return what was heard, by the name of the NIC.

        :param wait_s: at most, while it is still being listened.
        """
        deadline = time.monotonic() + wait_s
        # The first of them adds the others.
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return dict(self._heard)

    def _run(self, target: Callable[..., None], *names: str) -> None:
        thread = threading.Thread(
            target=target, args=names, name='lldp', daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        try:
            for one in _nics():
                self._run(self._listen_at, one.name)
        except Exception:
            LOG.exception('LLDP cannot be listened for')

    def _listen_at(self, name: str) -> None:
        try:
            self._heard.update(
                hardware.dispatch_to_managers('collect_lldp_data', [name])
            )
        except Exception:
            LOG.exception('LLDP cannot be listened for at %s', name)


LISTENER = Listener()


def network(mtu: int | None, wait_s: float) -> dict[str, Any]:
    """Return what is seen now.

    :param mtu: of the network that the ramdisk is in, bytes; None: not known.
    :param wait_s: for LLDP that was not heard yet.
    :returns: `{interfaces: [{name, mac_address, has_carrier, lldp}], tried,
        largest}`; see `packets`.
    """
    heard = LISTENER.heard(wait_s)
    return {
        **packets(mtu),
        'interfaces': [
            {
                'name': one.name,
                'mac_address': one.mac_address,
                'has_carrier': one.has_carrier,
                'lldp': heard.get(one.name, []),
            }
            for one in _nics()
        ],
    }


def packets(mtu: int | None = None) -> dict[str, int | None]:
    """Try how large a packet to the conductor may be.

    :param mtu: of the network, bytes; None: not known, and 1500 are tried. A
        NIC that takes less is asked for no more.
    :returns: `{tried, largest}` in bytes, see `largest_packet`.
    """
    own = [
        int((_LINKS / one.name / 'mtu').read_text())
        for one in _nics()
        if one.has_carrier
    ]
    tried = min(max(own, default=_USUAL_MTU), mtu or _USUAL_MTU)
    return {'tried': tried, 'largest': largest_packet(_conductor(), tried)}


def _nics() -> list[Any]:
    return [
        one
        for one in hardware.dispatch_to_managers('list_network_interfaces')
        if one.mac_address
    ]


def _conductor() -> str | None:
    """Return the address that the agent talks to."""
    urls = (cfg.CONF.api_url or '').split(',')
    return parse.urlsplit(urls[0].strip()).hostname


def largest_packet(
    host: str | None, mtu: int, smallest: int = 576
) -> int | None:
    """Return the largest IPv4 packet, up to `mtu` bytes, that comes back.

    :param smallest: that is tried, bytes.
    :returns: None: not even that one, or it cannot be tried.
    """
    if not host:
        return None
    try:
        address = socket.gethostbyname(host)
        with socket.socket(
            socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
        ) as echo:
            # Do not fragment, whatever was learned of the path.
            echo.setsockopt(
                socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE
            )
            echo.connect((address, 0))
            if _comes_back(echo, mtu):
                return mtu
            if not _comes_back(echo, smallest):
                return None
            return _between(echo, smallest, mtu)
    except OSError as exc:
        LOG.warning('Packets to %s cannot be tried: %s', host, exc)
        return None


def _between(echo: socket.socket, passes: int, does_not: int) -> int:
    """Halve the range until the size that just passes is known."""
    while does_not - passes > 1:
        middle = (passes + does_not) // 2
        if _comes_back(echo, middle):
            passes = middle
        else:
            does_not = middle
    return passes


def _comes_back(echo: socket.socket, size: int) -> bool:
    identity = os.getpid() & 0xFFFF
    for number in range(TRIES):
        # What is sent is told from what others send by size and content.
        content = os.urandom(8).ljust(size - _HEADERS, b'\0')
        message = struct.pack('!BBHHH', _ECHO, 0, 0, identity, number)
        summed = _checksum(message + content)
        message = struct.pack('!BBHHH', _ECHO, 0, summed, identity, number)
        try:
            echo.send(message + content)
        except OSError:
            # The NIC itself does not take it.
            return False
        deadline = time.monotonic() + TRY_S
        while (left_s := deadline - time.monotonic()) > 0:
            echo.settimeout(left_s)
            try:
                answer = echo.recv(65536)
            except OSError:
                # Silence, or the word of a router that it does not pass.
                break
            header = (answer[0] & 0xF) * 4
            if answer[header] == _REPLY and answer[header + 8 :] == content:
                return True
    return False


def _checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
