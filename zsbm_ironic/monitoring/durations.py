# SPDX-License-Identifier: Apache-2.0
"""How long a server took to boot its ramdisk, and to be deployed.

Read from the timeline that a conductor keeps of each node, which is a file:
it is read again only when it has changed.
"""

import dataclasses
from collections.abc import Iterable

from zsbm_ironic.netboot import timeline

STARTS = frozenset({'power-on', 'rebooting', 'soft-rebooting'})
# The first of Ironic's core steps, and the one that starts the server with
# its own system.
FIRST_STEP = 'deploy'
LAST_STEP = 'boot_instance'


@dataclasses.dataclass(frozen=True)
class Durations:
    """The last ones of one node, in seconds; None: there was none yet.

    :ivar boot_s: from the start of the server until its agent spoke.
    :ivar deploy_s: from the first step of a deploy until the server was
        started with its own system.
    """

    boot_s: float | None = None
    deploy_s: float | None = None


def of(events: Iterable[timeline.Event]) -> Durations:
    """Return the durations that events tell.

    :param events: of one node, by time.
    """
    boot_s: float | None = None
    deploy_s: float | None = None
    started_at: float | None = None
    deploying_at: float | None = None
    steps: list[str] = []
    for event in events:
        if event.name == 'deploy-step':
            if event.detail == FIRST_STEP and FIRST_STEP in steps:
                # The deploy before this one was given up.
                steps.clear()
            if not steps:
                deploying_at = event.timestamp
            steps.append(event.detail)
        elif event.name == 'clean-step':
            steps.clear()
        elif event.name == 'agent-up' and started_at is not None:
            boot_s = event.timestamp - started_at
            started_at = None
        elif event.name in STARTS:
            started_at = event.timestamp
            if steps and steps[-1] == LAST_STEP and deploying_at is not None:
                deploy_s = event.timestamp - deploying_at
                steps.clear()
    return Durations(boot_s, deploy_s)


class Book:
    """The durations of nodes, by the timeline of this conductor."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Durations]] = {}

    def of(self, kept: timeline.Timeline, node_uuid: str) -> Durations:
        """Return those of a node; without a timeline there are none."""
        changed_at = kept.changed_at(node_uuid)
        if changed_at is None:
            self._known.pop(node_uuid, None)
            return Durations()
        known = self._known.get(node_uuid)
        if known is None or known[0] != changed_at:
            known = changed_at, of(kept.read(node_uuid))
            self._known[node_uuid] = known
        return known[1]

    def keep_only(self, node_uuids: Iterable[str]) -> None:
        """Forget all other nodes."""
        for gone in self._known.keys() - set(node_uuids):
            del self._known[gone]
