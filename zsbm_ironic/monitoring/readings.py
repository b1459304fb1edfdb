# SPDX-License-Identifier: Apache-2.0
"""Reading many BMCs at once, and the board that holds the last reading.

Called by the conductor's periodic task, which names the nodes; read by the
collector. Nothing is kept on disk: a conductor that starts has no readings
until its first round.
"""

import concurrent.futures
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from zsbm_ironic.bmc import base
from zsbm_ironic.common import exception

LOG = logging.getLogger(__name__)

OpenBmc = Callable[[], AbstractContextManager[base.Bmc]]


@dataclasses.dataclass(frozen=True)
class Source:
    """One node to read.

    :ivar open_bmc: gives a logged-in BMC, for the length of a `with`.
    """

    node_uuid: str
    node_name: str
    open_bmc: OpenBmc


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
    error: str = ''


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


def take_round(sources: Iterable[Source], board: Board, workers: int) -> None:
    """Read every node once, `workers` at a time; returns when all are done."""
    started = time.monotonic()
    todo = list(sources)
    with concurrent.futures.ThreadPoolExecutor(
        workers, thread_name_prefix='zsbm-readings'
    ) as pool:
        for reading in pool.map(take, todo):
            board.post(reading)
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
    health = base.Health.UNKNOWN
    sensors: tuple[base.SensorReading, ...] = ()
    try:
        with source.open_bmc() as bmc:
            power = bmc.get_power()
            sensors = bmc.sensors()
            health = bmc.health()
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
        health=health,
        sensors=sensors,
        error=error,
    )
