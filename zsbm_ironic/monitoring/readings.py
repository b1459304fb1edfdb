# SPDX-License-Identifier: Apache-2.0
"""Reading many BMCs at once, and the board that holds the last reading.

Called by the conductor's periodic task, which names the nodes; read by the
collector. Nothing is kept on disk: a conductor that starts has no readings
until its first round.
"""

import collections
import concurrent.futures
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from zsbm_ironic.bmc import base
from zsbm_ironic.common import exception
from zsbm_ironic.monitoring import durations

LOG = logging.getLogger(__name__)

T = TypeVar('T')


class Ask(Protocol):
    """Runs a function on the logged-in BMC of one node."""

    def __call__(self, function: Callable[[base.Bmc], T], /) -> T:
        """Return what the function returns."""
        ...


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a node without its BMC; empty is not known.

    :ivar owner, lessee: ids of projects.
    :ivar rack: where it is, as `extra` of the node says.
    :ivar maintenance: a person works on it, and nobody is to be called.
    :ivar deployed: somebody's system runs on it.
    :ivar power: what Ironic takes it for; None: it does not say.
    :ivar lasted: its last boot and its last deploy.
    """

    owner: str = ''
    lessee: str = ''
    resource_class: str = ''
    conductor_group: str = ''
    instance_uuid: str = ''
    rack: str = ''
    maintenance: bool = False
    deployed: bool = False
    power: base.PowerState | None = None
    lasted: durations.Durations = durations.Durations()


@dataclasses.dataclass(frozen=True)
class Source:
    """One node to read.

    :ivar ask: reaches its BMC.
    """

    node_uuid: str
    node_name: str
    ask: Ask
    facts: Facts = Facts()


@dataclasses.dataclass(frozen=True)
class Reading:
    """What one BMC said.

    :ivar taken_at: seconds since the epoch when the reading was complete.
    :ivar duration_s: how long the BMC took.
    :ivar error: why there is nothing else; empty where all went well.
    """

    node_uuid: str
    node_name: str
    taken_at: float
    duration_s: float
    power: base.PowerState | None = None
    health: base.Health = base.Health.UNKNOWN
    sensors: tuple[base.SensorReading, ...] = ()
    logged_events: int | None = None
    error: str = ''
    facts: Facts = Facts()


class Board:
    """The last reading of each node; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[str, Reading] = {}
        self._round_s: float | None = None

    def post(self, reading: Reading) -> None:
        """Replace the reading of one node."""
        with self._lock:
            self._readings[reading.node_uuid] = reading

    def end_round(self, node_uuids: set[str], round_s: float) -> None:
        """Note a round; nodes that were not in it are no longer ours."""
        with self._lock:
            self._round_s = round_s
            for gone in self._readings.keys() - node_uuids:
                del self._readings[gone]

    def look(self) -> tuple[list[Reading], float | None]:
        """Return all readings and the seconds that the last round took."""
        with self._lock:
            return list(self._readings.values()), self._round_s


def take_round(
    sources: Iterable[Source],
    board: Board,
    workers: int,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Read every node once, `workers` at a time; returns when all are done.

    :param is_over: whether to begin with no further node.
    """
    started = time.monotonic()
    todo = list(sources)

    def read(source: Source) -> None:
        if not is_over():
            board.post(take(source))

    with concurrent.futures.ThreadPoolExecutor(
        workers, thread_name_prefix='zsbm-readings'
    ) as pool:
        done = pool.map(read, todo)
        # Raises here what a worker raised.
        collections.deque(done, maxlen=0)
    if is_over():
        return
    board.end_round(
        {source.node_uuid for source in todo}, time.monotonic() - started
    )


def take(source: Source) -> Reading:
    """Read power, health and sensors of one node; never raises.

    A BMC that fails must not keep the others from being read, whatever its
    firmware or a library made of it.
    """
    started = time.monotonic()
    error = ''
    power: base.PowerState | None = None
    health: base.Health | None = None
    sensors: tuple[base.SensorReading, ...] = ()
    logged_events: int | None = None
    try:
        # One question at a time: an operator's action that waits for the
        # session gets in between.
        power = source.ask(lambda bmc: bmc.get_power())
        sensors = source.ask(lambda bmc: bmc.sensors())
        health = source.ask(_own_health)
        logged_events = source.ask(_logged_events)
    except exception.ZsbmError as exc:
        error = str(exc)
        LOG.info('No reading of node %s: %s', source.node_name, exc)
    except Exception as exc:
        error = f'{type(exc).__name__}: {exc}'
        LOG.exception('No reading of node %s', source.node_name)
    return Reading(
        node_uuid=source.node_uuid,
        node_name=source.node_name,
        taken_at=time.time(),
        duration_s=time.monotonic() - started,
        power=power,
        health=health or base.worst([sensor.health for sensor in sensors]),
        sensors=sensors,
        logged_events=logged_events,
        error=error,
        facts=source.facts,
    )


def _logged_events(bmc: base.Bmc) -> int | None:
    """Count the log's entries; what keeps us from it is no silence."""
    try:
        return bmc.logged_events()
    except exception.ZsbmError as exc:
        LOG.debug('The event log of a BMC is not read: %s', exc)
        return None


def _own_health(bmc: base.Bmc) -> base.Health | None:
    """Return the BMC's summary; None where it is just its sensors again."""
    if bmc.protocol is base.BmcProtocol.IPMI:
        return None
    return bmc.health()
