# SPDX-License-Identifier: Apache-2.0
"""What a check of a server's network found: data for a person and a program.

Made by `plan`, `binding`, `readback` and `sight`; shown by
`openstack baremetal node network check`, and in the error of a deploy that
does not begin.
"""

import dataclasses
import enum
from collections.abc import Iterable


class State(enum.StrEnum):
    """How it is."""

    OK = 'ok'
    # It will not work as it is.
    WRONG = 'wrong'
    # Nobody who could tell was asked, or it is for a person to judge.
    UNKNOWN = 'unknown'


class Means(enum.StrEnum):
    """Who said so."""

    # Settings of Ironic and Neutron, held against each other.
    PLAN = 'plan'
    # What Neutron says of a port that it was told of.
    NEUTRON = 'neutron'
    # What the switch answered.
    SWITCH = 'switch'
    # What the server saw from its ramdisk.
    RAMDISK = 'ramdisk'


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    :ivar check: its name, as `port-of-another-node`.
    :ivar about: MAC address of a port, name of a network or a host.
    :ivar detail: what is there, with the place where it is set.
    :ivar remedy: what to do; empty where nothing is to be done.
    """

    check: str
    state: State
    means: Means
    about: str
    detail: str
    remedy: str = ''

    def __str__(self) -> str:
        return f'{self.about}: {self.detail} ({self.check}). {self.remedy}'


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    """Return those for which it will not work."""
    return [one for one in findings if one.state is State.WRONG]


def told(findings: Iterable[Finding]) -> str:
    """Return findings as one text, for an error."""
    return ' '.join(str(one).rstrip() for one in findings)
