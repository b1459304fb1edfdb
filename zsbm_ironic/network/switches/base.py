# SPDX-License-Identifier: Apache-2.0
"""What every switch can be asked, and the values that go in and out.

Called by the rest of the room, which never sees netmiko. Names of ports and
MAC addresses come from whoever may edit a port of Ironic, and some switches
have a shell behind their prompt: `port_name` and `mac_address` are the only
way of a value into a command. Everything is immutable; nothing outlives a
call.
"""

import dataclasses
import re
from typing import Protocol, Self

from zsbm_ironic.network import exception
from zsbm_ironic.network.wiring import VLANS

# Listening and learning, each for as long (IEEE 802.1D-2004, 17.14).
STATES, FORWARD_DELAY_S = 2, 15
_SPANNING_TREE = re.compile(r'^\s*Port \d+ \(.+\) of \S+ is \w+', re.M)
_EDGE_PORT = re.compile(
    r'^\s*The port (?:type is edge\b|is in the portfast\b.*\bmode\b)', re.M
)
_AGGREGATE = re.compile(r'(?:po|port-?channel|bond|lag) ?\d', re.I)
_PORT = re.compile(r'[A-Za-z0-9][A-Za-z0-9._/:-]{0,62}\Z')
_MAC = re.compile(
    r'[0-9a-f]{2}([:-]?)(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}\Z'
    r'|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\Z'
)


@dataclasses.dataclass(frozen=True)
class PortState:
    """One port as the switch has it at the moment.

    :ivar exists: the switch has such a port; where not, nothing else is said.
    :ivar up: it has a link; None: the switch does not say.
    :ivar admin_up: nobody has shut it down.
    :ivar vlan: of frames without a tag; None: such frames are in none.
    :ivar tagged: VLANs whose frames have a tag; None: all of them.
    :ivar mtu: in bytes, as this kind of switch counts; None: not said.
    :ivar deaf_s: seconds for which spanning tree keeps frames out when the
        link comes up; None: not said.
    """

    port_id: str
    exists: bool
    up: bool | None = None
    admin_up: bool | None = None
    vlan: int | None = None
    tagged: frozenset[int] | None = frozenset()
    mtu: int | None = None
    deaf_s: int | None = None

    def carries(self, vlan: int) -> bool:
        """Whether frames of a VLAN pass, with or without a tag."""
        if not self.exists:
            return False
        return vlan == self.vlan or self.tagged is None or vlan in self.tagged


@dataclasses.dataclass(frozen=True)
class Heard:
    """Where a switch has heard a MAC address.

    :ivar port_id: as the switch writes it, which may be shorter than what
        the port is called elsewhere: `Switch.same_port` compares.
    :ivar vlan: in which; None: in none.
    :ivar age_s: seconds since the last frame; None: the switch does not say.
    """

    port_id: str
    vlan: int | None
    age_s: int | None


class Switch(Protocol):
    """A switch that somebody is logged in to: a context manager.

    Methods raise the errors of `network.exception`, each within the time
    that was given for the login.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc: object) -> None: ...

    def port_state(self, port_id: str) -> PortState:
        """Ask for one port.

        :raises SwitchQuestionInvalid: it cannot be the name of a port.
        """
        ...

    def where_is(self, mac: str) -> tuple[Heard, ...]:
        """Ask where a MAC address was heard; the last one first.

        A switch forgets after some minutes, so () does not say that there is
        no such machine.

        :raises SwitchQuestionInvalid: it is no MAC address.
        """
        ...

    def same_port(self, one: str, other: str) -> bool:
        """Whether two names mean the same port of this kind of switch."""
        ...

    def close(self) -> None:
        """Log out; safe to call twice."""
        ...


def port_name(value: object) -> str:
    """Return a port_id that may be part of a command.

    :raises SwitchQuestionInvalid: it may not.
    """
    if isinstance(value, str) and _PORT.match(value):
        return value
    raise _invalid(
        'port_id',
        value,
        'it has to be 1 to 63 letters, digits and . _ / : - and to begin with '
        'a letter or digit',
    )


def mac_address(value: object) -> str:
    """Return a MAC address in lower case with colons.

    :param value: with colons, hyphens, dots as Cisco writes it, or bare.
    :raises SwitchQuestionInvalid: it is none.
    """
    mac = normalised_mac(value)
    if mac is None:
        raise _invalid('MAC address', value, 'it is none')
    return mac


def normalised_mac(value: object) -> str | None:
    """Return a MAC address in lower case with colons; None: it is none."""
    if not isinstance(value, str) or not _MAC.match(value.lower()):
        return None
    digits = re.sub(r'[^0-9a-f]', '', value.lower())
    return ':'.join(digits[at : at + 2] for at in range(0, 12, 2))


def _invalid(
    what: str, value: object, problem: str
) -> exception.SwitchQuestionInvalid:
    return exception.SwitchQuestionInvalid(
        what=what, value=printable(repr(value), 80), problem=problem
    )


def printable(text: str, most: int = 200) -> str:
    """Return what a switch or a person said, fit for one line of a log."""
    line = ' '.join(text.split())
    clean = ''.join(c if c.isprintable() else '?' for c in line)
    return clean if len(clean) <= most else f'{clean[:most]}...'


def vlan_or_none(value: object) -> int | None:
    """Return the VLAN that a switch names; None: what it says is none."""
    text = str(value)
    known = text.isascii() and text.isdigit() and len(text) < 5
    return int(text) if known and int(text) in VLANS else None


def dotted(mac: str) -> str:
    """Return a MAC address as Cisco and Arista write it."""
    digits = mac.replace(':', '')
    return '.'.join(digits[at : at + 4] for at in range(0, 12, 4))


def vlan_set(words: str) -> frozenset[int] | None:
    """Read a list of VLANs as command lines print it; None is all.

    :param words: `1,7-9`, `ALL` or `NONE`.
    :raises ValueError: it is something else.
    """
    lower = words.strip().lower()
    if lower in ('all', 'none'):
        return None if lower == 'all' else frozenset()
    found: set[int] = set()
    for part in lower.split(','):
        first, _, last = part.partition('-')
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[0] not in VLANS or numbers[-1] not in VLANS:
            raise ValueError(f'{printable(part)} is no range of VLANs')
        # No list names a VLAN twice; one that does could go on for ever.
        if not found.isdisjoint(numbers):
            raise ValueError(f'{printable(part)} is there twice')
        found.update(numbers)
    return None if len(found) == len(VLANS) else frozenset(found)


def trunk(port_id: str, native: object, allowed: str) -> PortState:
    """Return a trunk: a native VLAN passes only where it is allowed.

    :raises ValueError: `allowed` is no list of VLANs.
    """
    vlan = vlan_or_none(native)
    tagged = vlan_set(allowed)
    if tagged is None:
        return PortState(port_id, exists=True, vlan=vlan, tagged=None)
    untagged = tagged & {vlan}
    return PortState(
        port_id,
        exists=True,
        vlan=vlan if untagged else None,
        tagged=tagged - untagged,
    )


def deaf_s(text: str) -> int | None:
    """Read `show spanning-tree interface PORT detail`.

    Cisco's and Arista's differ in what they call an edge port alone.

    :returns: see `PortState`.
    """
    if not _SPANNING_TREE.search(text):
        return None
    return 0 if _EDGE_PORT.search(text) else STATES * FORWARD_DELAY_S


def is_aggregate(port_id: str) -> bool:
    """Whether a name is that of several ports that are one: `Po1`."""
    return bool(_AGGREGATE.match(port_id))


def same_port(one: str, other: str) -> bool:
    """Whether `Gi1/0/7` and `GigabitEthernet1/0/7` are one port: they are.

    Command lines accept and print any unique beginning of the kind of port.
    """
    (kind, number), (other_kind, other_number) = (
        re.match(r'([A-Za-z-]*)(.*)', name.lower()).groups()  # type: ignore[union-attr]
        for name in (one, other)
    )
    shorter, longer = sorted((kind, other_kind), key=len)
    return number == other_number and longer.startswith(shorter)
