# SPDX-License-Identifier: Apache-2.0
"""Find out which protocol a BMC speaks, without showing it a password.

A BMC that answers Redfish is spoken to in Redfish and nothing else: falling
back to IPMI because TLS failed would let an attacker in between choose the
weaker protocol (RAKP answers can be cracked offline). Only a port that is
closed, or a web server that has no Redfish at all, leads on to IPMI; a port
that is silent, or TLS that breaks, is a question for a person.

Called at `manage`, when nothing is known yet; its packet also by `together`.
Nothing outlives a call.
"""

import concurrent.futures
import dataclasses
import enum
import http.client
import json
import random
import select
import socket
import ssl
import time

from zsbm_ironic.bmc import base
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception

REDFISH_S = 10.0
IPMI_S = 5.0
IPMI_RESEND_S = 0.8
ROOT_BYTES = 64 * 1024

# Get Channel Authentication Capabilities for this channel, version 2.0 data
# (bit 7), administrator: IPMI v2.0 section 22.13, framed as in figure 13-4.
_RMCP = bytes.fromhex('0600ff07')
_SESSIONLESS = bytes(9)
_CAPABILITIES = 0x38


class Redfish(enum.Enum):
    """How a port reacts to GET /redfish/v1/."""

    ANSWERS = 'answers'
    CLOSED = 'is closed'
    ABSENT = 'has no Redfish'
    SILENT = 'is silent'
    BROKEN = 'breaks the connection'


class Ipmi(enum.Enum):
    """How a port reacts to Get Channel Authentication Capabilities."""

    V2 = 'answers IPMI v2.0'
    V1 = 'answers IPMI v1.5 only'
    SILENT = 'is silent'


@dataclasses.dataclass(frozen=True)
class Found:
    """What a BMC speaks.

    :ivar ipmi: it answers IPMI v2.0 as well, so it may have a serial console.
    """

    protocol: base.BmcProtocol
    ipmi: bool


def detect(
    credentials: bmc_credentials.Credentials,
    redfish_s: float = REDFISH_S,
    ipmi_s: float = IPMI_S,
) -> Found:
    """Ask both ports at once and decide.

    An explicit protocol is taken as it is: only the other one is asked for.

    :param redfish_s: seconds for each packet of the Redfish port.
    :param ipmi_s: seconds for the IPMI port, resends included.

    :raises BmcProtocolUnclear: deciding would risk a downgrade.
    :raises BmcUnsupported: only IPMI v1.5 answers.
    :raises BmcUnreachable: nothing answers.
    """
    address = credentials.address
    wanted = credentials.protocol
    if wanted is base.BmcProtocol.IPMI:
        return Found(wanted, True)
    with concurrent.futures.ThreadPoolExecutor(2) as aside:
        # A Redfish BMC has its console where IPMI usually is.
        ports = {credentials.ipmi.port, credentials.ipmi.console_port}
        answers = {
            port: aside.submit(probe_ipmi, address, port, ipmi_s)
            for port in ports
        }
        console = answers[credentials.ipmi.console_port]
        if wanted is base.BmcProtocol.REDFISH:
            return Found(wanted, console.result() is Ipmi.V2)
        redfish = probe_redfish(
            address,
            credentials.redfish.port,
            credentials.redfish.scheme,
            redfish_s,
        )
        if redfish is Redfish.ANSWERS:
            return Found(base.BmcProtocol.REDFISH, console.result() is Ipmi.V2)
        ipmi = answers[credentials.ipmi.port].result()
    return _without_redfish(credentials, redfish, ipmi)


def _without_redfish(
    credentials: bmc_credentials.Credentials, redfish: Redfish, ipmi: Ipmi
) -> Found:
    ports = (
        f'Redfish on TCP port {credentials.redfish.port} {redfish.value}, '
        f'IPMI on UDP port {credentials.ipmi.port} {ipmi.value}'
    )
    if ipmi is Ipmi.SILENT and redfish is not Redfish.BROKEN:
        raise exception.BmcUnreachable(
            address=credentials.address,
            what=f'on either protocol ({ports})',
            timeout_s=round(REDFISH_S),
            key=f'{credentials.source}_address',
        )
    if redfish in (Redfish.SILENT, Redfish.BROKEN):
        raise exception.BmcProtocolUnclear(
            address=credentials.address, reason=ports
        )
    if ipmi is Ipmi.V1:
        raise exception.BmcUnsupported(
            address=credentials.address,
            what='IPMI v2.0',
            answer=f'{ports}; keep type ipmi for this node',
        )
    return Found(base.BmcProtocol.IPMI, True)


def probe_redfish(
    address: str,
    port: int,
    scheme: str = 'https',
    timeout_s: float = REDFISH_S,
) -> Redfish:
    """GET /redfish/v1/ with neither credentials nor trust."""
    connection: http.client.HTTPConnection
    if scheme == 'https':
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            address, port, timeout=timeout_s, context=tls
        )
    else:
        connection = http.client.HTTPConnection(
            address, port, timeout=timeout_s
        )
    try:
        connection.request(
            'GET', '/redfish/v1/', headers={'Accept': 'application/json'}
        )
        return _judge(connection.getresponse())
    except ConnectionRefusedError:
        return Redfish.CLOSED
    except TimeoutError:
        return Redfish.SILENT
    except OSError as exc:
        # Nobody there at all, as a router or the kernel says.
        unreachable = not isinstance(exc, ssl.SSLError | ConnectionError)
        return Redfish.SILENT if unreachable else Redfish.BROKEN
    except http.client.HTTPException:
        return Redfish.BROKEN
    finally:
        connection.close()


def _judge(response: http.client.HTTPResponse) -> Redfish:
    """Tell a Redfish service root (DSP0266 section 6.2) from another page."""
    if response.status in (401, 403):
        return Redfish.ANSWERS
    if response.status >= 500:
        return Redfish.BROKEN
    try:
        root = json.loads(response.read(ROOT_BYTES))
    except ValueError:
        root = None
    if isinstance(root, dict) and (
        'RedfishVersion' in root or 'Systems' in root
    ):
        return Redfish.ANSWERS
    return Redfish.ABSENT


def probe_ipmi(address: str, port: int, timeout_s: float = IPMI_S) -> Ipmi:
    """Ask for authentication capabilities, again until an answer comes."""
    try:
        family, kind, proto, _name, where = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM
        )[0]
    except OSError:
        return Ipmi.SILENT
    deadline = time.monotonic() + timeout_s
    poller = select.poll()
    with socket.socket(family, kind, proto) as sock:
        sock.setblocking(False)
        poller.register(sock, select.POLLIN)
        try:
            sock.connect(where)
        except OSError:
            return Ipmi.SILENT
        refusals = 0
        while (left_s := deadline - time.monotonic()) > 0 and refusals < 3:
            sequence = random.randrange(64)  # noqa: S311 - a tag, no secret
            try:
                sock.send(capabilities_request(sequence))
                if not poller.poll(1000 * min(left_s, IPMI_RESEND_S)):
                    continue
                found = capabilities(sock.recv(1024), sequence)
            except OSError:
                # The host says that nobody listens; once may be a BMC that
                # is just starting.
                refusals += 1
                time.sleep(min(left_s, IPMI_RESEND_S / 2))
                continue
            if found:
                return found
    return Ipmi.SILENT


def _sum(data: bytes) -> bytes:
    return bytes([-sum(data) & 0xFF])


def capabilities_request(sequence: int) -> bytes:
    """Return the packet of Get Channel Authentication Capabilities.

    :param sequence: 0 to 63; the answer has it too.
    """
    head = bytes([0x20, 0x06 << 2])
    body = bytes([0x81, sequence << 2, _CAPABILITIES, 0x8E, 4])
    message = head + _sum(head) + body + _sum(body)
    return _RMCP + b'\0' + _SESSIONLESS[:8] + bytes([len(message)]) + message


def capabilities(packet: bytes, sequence: int) -> Ipmi | None:
    """Read an answer; None for anything else that comes by."""
    # RMCP 4, session 10, then rq, netfn, sum, rs, seq, command, code, data.
    if len(packet) < 25 or packet[3] != 7 or packet[4] != 0:
        return None
    if packet[18] >> 2 != sequence or packet[19] != _CAPABILITIES:
        return None
    if packet[20] != 0:
        return Ipmi.V1
    data = packet[21:]
    # Table 22-15: v2.0 data present (bit 7) and v2.0 enabled (bit 1).
    version_2 = len(data) >= 4 and data[1] & 0x80 and data[3] & 0x02
    return Ipmi.V2 if version_2 else Ipmi.V1
