# SPDX-License-Identifier: Apache-2.0
"""From the words of dnsmasq and nginx to events of a boot.

Called by the service with each line that its two children print. dnsmasq
tells what a client is in several lines with one transaction number, hence
the memory in `DnsmasqLog`; it is bounded, because strangers feed it too.
"""

import collections
import json
import re
from collections.abc import Callable

from zsbm_ironic.netboot import arch, timeline

MAX_TRANSACTIONS = 256

_DHCP = re.compile(
    r'dnsmasq-dhcp(?:\[\d+\])?: (?P<xid>\d+ )?'
    r'DHCP(?P<kind>[A-Z]+)\((?P<interface>[^)]*)\) '
    r'(?:(?P<address>\d+\.\d+\.\d+\.\d+) )?'
    r'(?P<mac>[0-9a-f]{2}(?::[0-9a-f]{2}){5}) ?(?P<rest>.*)'
)
_TAGS = re.compile(
    r'dnsmasq-dhcp(?:\[\d+\])?: (?P<xid>\d+) tags: (?P<tags>.*)'
)
_SENT = re.compile(
    r'dnsmasq-tftp(?:\[\d+\])?: sent (?P<path>.*) to (?P<address>[\d.]+)$'
)
_NOT_SENT = re.compile(
    r'dnsmasq-tftp(?:\[\d+\])?: (?:failed sending|file) (?P<path>.*?)'
    r'(?: not found for| to) (?P<address>[\d.]+)$'
)
_KINDS = ('DISCOVER', 'OFFER', 'REQUEST', 'ACK', 'NAK', 'DECLINE', 'RELEASE')

# Names of the files that ironic and we serve, most telling first.
_FILES = (
    (re.compile(r'/boot\.ipxe$'), 'ipxe-script'),
    (re.compile(rf'/{arch.DIRECTORY}/'), 'loader'),
    (re.compile(r'\.(kpxe|pxe|efi|lkrn|0)$'), 'loader'),
    (re.compile(r'/pxelinux\.cfg/|/config$|grub\.cfg'), 'boot-config'),
    (re.compile(r'(deploy|rescue)_kernel$|/kernel$'), 'kernel'),
    (re.compile(r'(deploy|rescue)_ramdisk$|/ramdisk$'), 'ramdisk'),
    (re.compile(r'/agent_images/'), 'image'),
)


def file_event(path: str) -> str:
    """Name what a served file is to a boot."""
    for pattern, name in _FILES:
        if pattern.search(path):
            return name
    return 'file'


class DnsmasqLog:
    """Reads dnsmasq's log, as `log-dhcp` makes it.

    :param mac_of: returns the MAC that an address belongs to, or ''.
    """

    def __init__(self, mac_of: Callable[[str], str]) -> None:
        self._mac_of = mac_of
        self._tags: collections.OrderedDict[str, str] = (
            collections.OrderedDict()
        )

    def read(self, line: str, now: float) -> timeline.Event | None:
        """Return the event that a line tells, if it tells one."""
        tags = _TAGS.search(line)
        if tags:
            return self._client(tags['xid'], tags['tags'], now)
        dhcp = _DHCP.search(line)
        if dhcp and dhcp['kind'] in _KINDS:
            return self._dhcp(dhcp, now)
        for pattern, suffix in ((_SENT, ''), (_NOT_SENT, '-failed')):
            tftp = pattern.search(line)
            if tftp:
                return timeline.Event(
                    now,
                    'tftp',
                    file_event(tftp['path']) + suffix,
                    self._mac_of(tftp['address']),
                    f'{tftp["path"]} to {tftp["address"]}',
                )
        return None

    def _dhcp(self, match: re.Match[str], now: float) -> timeline.Event:
        mac, rest = match['mac'], match['rest'].strip()
        name = 'dhcp-' + match['kind'].lower()
        if rest.startswith('ignored'):
            name = 'dhcp-ignored'
        elif rest.startswith('no address'):
            name = 'dhcp-no-address'
        elif match['xid']:
            self._remember(match['xid'].strip(), mac)
        detail = ' '.join(word for word in (match['address'], rest) if word)
        return timeline.Event(now, 'dhcp', name, mac, detail)

    def _remember(self, xid: str, mac: str) -> None:
        self._tags[xid] = mac
        self._tags.move_to_end(xid)
        while len(self._tags) > MAX_TRANSACTIONS:
            self._tags.popitem(last=False)

    def _client(
        self, xid: str, text: str, now: float
    ) -> timeline.Event | None:
        mac = self._tags.pop(xid, '')
        tags = [tag.strip() for tag in text.split(',')]
        kinds = [
            tag.removeprefix('arch-')
            for tag in tags
            if tag.startswith('arch-') or tag in ('ipxe', 'http')
        ]
        if not mac or not kinds:
            return None
        return timeline.Event(
            now, 'dhcp', 'dhcp-client', mac, ' '.join(sorted(set(kinds)))
        )


def nginx_event(
    line: str, now: float, mac_of: Callable[[str], str]
) -> timeline.Event | None:
    """Return the event of one line of nginx's access log, if it is one."""
    try:
        request = json.loads(line)
        address, path = str(request['address']), str(request['uri'])
        status, size = str(request['status']), str(request['bytes'])
        seconds = str(request['seconds'])
    except (ValueError, KeyError, TypeError):
        return None
    name = file_event(path)
    if not status.startswith(('2', '3')):
        name += '-failed'
    return timeline.Event(
        now,
        'http',
        name,
        mac_of(address),
        f'{path} to {address}: {status}, {size} bytes in {seconds} s',
    )
