# SPDX-License-Identifier: Apache-2.0
"""The power of many BMCs, looked at again and again.

Those that speak IPMI are asked on their held sessions, all `at_once`: a dead
one costs some packets and nobody's time. What takes a thread (a login, a
question by Redfish) is done `by_workers`, a few; who keeps one for long no
longer counts, so that others get their turn, up to a bound. Who is silent or
refuses is left be for a while; one that tells of events by itself is asked
when it does. Called by the power interface, by one thread for either;
sessions belong to `pool`.
"""

import collections
import concurrent.futures
import dataclasses
import math
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from oslo_log import log

from zsbm_ironic.bmc import base, events, pool, redfish, together
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception

LOG = log.getLogger(__name__)

# How long an answer on a held session may take: it is asked for three times.
ANSWER_S = 1.2
SLOW_S = 1.0
PROBE_S = 1.0
# Who has kept a worker for so long no longer counts as one.
YOUNG_S = 1.0
# Threads for each worker: those of BMCs that take long are the others.
OLD_TIMES = 4
TICK_S = 0.1
# After an event, which may come before what it tells of, a BMC is asked once
# more so much later; while no pause is so long, twice as late each time.
EVENT_GAP_S = 3.0
EVENT_PAUSE_S = 10.0
# How long who is silent is left be, which costs a few packets to find out,
# and who takes long to answer.
SILENT_S = 10.0
# How long who failed is: twice as long each time; where a setting is wrong,
# which more tries make worse, the longest at once.
REST_MIN_S = 10.0
REST_MAX_S = 300.0

Credentials = bmc_credentials.Credentials
# With the seconds that it took.
Answer = concurrent.futures.Future[tuple[base.PowerState, float]]


@dataclasses.dataclass
class _Known:
    """What is known of one BMC.

    :ivar due: when it may be asked by a worker.
    :ivar failures: of workers, so many in a row.
    :ivar slow: left to workers, for they can wait.
    :ivar heard_at: when it last told of an event.
    :ivar gap_s: to the question after the next, if it goes on telling.
    """

    credentials: Credentials
    due: float = 0.0
    failures: int = 0
    slow: bool = False
    heard_at: float = -math.inf
    gap_s: float = EVENT_GAP_S

    def rest(self, exc: Exception) -> None:
        """Leave it be after an error."""
        self.failures += 1
        rest_s = min(REST_MAX_S, REST_MIN_S * 2 ** (self.failures - 1))
        if isinstance(exc, exception.FixSettings):
            rest_s = REST_MAX_S
        self.due = time.monotonic() + rest_s


@dataclasses.dataclass(frozen=True)
class Pace:
    """How workers ask.

    :ivar poll_s: between two questions to one BMC by IPMI.
    :ivar redfish_poll_s: between two questions to one BMC by Redfish.
    :ivar limit_s: who is not asked by then is the next time, and a late
        answer is handed out there.
    :ivar hold: False gives each BMC its slot back at once.
    :ivar events: hear those that tell by themselves, where they are held.
    """

    poll_s: float
    redfish_poll_s: float
    limit_s: float
    hold: bool = True
    events: bool = True


class Watch:
    """Looks at the power of BMCs, until `close`."""

    def __init__(self, sessions: pool.Pool, workers: int) -> None:
        """Start no thread yet.

        :param workers: BMCs that a thread is taken for at a time.
        """
        self._sessions = sessions
        self._workers = workers
        self._threads = concurrent.futures.ThreadPoolExecutor(
            OLD_TIMES * workers, 'zsbm-power'
        )
        self._probe = together.Probe()
        self._listener = events.Listener(self._heard)
        self._guard = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._running: dict[str, tuple[_Known, Answer, float]] = {}

    def watch(self, bmcs: Mapping[str, Credentials]) -> None:
        """Say who is watched from now on, by owner."""
        with self._guard:
            for owner in self._known.keys() - bmcs.keys():
                del self._known[owner]
            for owner, credentials in bmcs.items():
                one = self._known.get(owner)
                if one is None or (
                    one.credentials is not credentials
                    and one.credentials != credentials
                ):
                    self._known[owner] = _Known(credentials)
        self._listener.keep_only(bmcs.keys())

    def _heard(self, owner: str) -> None:
        """Ask a BMC that told of an event at the next turn."""
        with self._guard:
            one = self._known.get(owner)
            if one is None:
                return
            now = time.monotonic()
            if now - one.heard_at >= EVENT_PAUSE_S and not one.failures:
                one.due = min(one.due, now)
            one.heard_at = now

    def at_once(
        self, owners: Collection[str] | None = None
    ) -> Iterator[tuple[str, base.PowerState]]:
        """Ask who speaks IPMI and is logged in to.

        :param owners: only these; None is all.
        :returns: owner and power, as the answers come.
        """
        some = {
            owner: one.credentials
            for owner, one in self._some(owners).items()
            if one.credentials.protocol is base.BmcProtocol.IPMI
            and not one.slow
            and owner not in self._running
        }
        for owner, power in self._sessions.powers(some, ANSWER_S):
            if power is not None:
                yield owner, power

    def _some(self, owners: Collection[str] | None) -> dict[str, _Known]:
        with self._guard:
            if owners is None:
                return dict(self._known)
            return {
                owner: self._known[owner]
                for owner in owners
                if owner in self._known
            }

    def by_workers(
        self, pace: Pace, again: Collection[str] | None = None
    ) -> Iterator[tuple[str, base.PowerState]]:
        """Ask whose turn it is: logins and Redfish.

        :param again: only these, whose turn it is.
        :returns: owner and power as answers come, late ones of before too.
        """
        now = time.monotonic()
        if again is not None:
            for one in self._some(again).values():
                one.due = 0.0
        late = self._probe.late()
        due = {
            owner: one
            for owner, one in self._some(again).items()
            if (one.due <= now or owner in late)
            and owner not in self._running
            and not self._is_at_once(owner, one, pace)
        }
        yield from self._asked(self._present(due), pace)

    def is_asking(self) -> bool:
        """Say whether a worker's answer is still to come."""
        return bool(self._running)

    def _is_at_once(self, owner: str, one: _Known, pace: Pace) -> bool:
        return (
            pace.hold
            and not one.slow
            and one.credentials.protocol is base.BmcProtocol.IPMI
            and self._sessions.holds(owner, one.credentials)
        )

    def _present(self, due: Mapping[str, _Known]) -> list[tuple[str, _Known]]:
        """Leave out who speaks IPMI and is silent; who waited longest first.

        Neither a login nor a worker is spent on a BMC that is dead; one that
        is known to be slow, and has answered, is not asked for so much.
        """
        by_ipmi = {
            owner: one.credentials
            for owner, one in due.items()
            if one.credentials.protocol is base.BmcProtocol.IPMI
            and (one.failures or not one.slow)
        }
        found = self._probe.present(by_ipmi, PROBE_S)
        for owner in by_ipmi.keys() - found:
            due[owner].due = time.monotonic() + SILENT_S
        return sorted(
            (
                (owner, one)
                for owner, one in due.items()
                if owner not in by_ipmi or owner in found
            ),
            key=lambda both: both[1].due,
        )

    def _asked(
        self, some: Iterable[tuple[str, _Known]], pace: Pace
    ) -> Iterator[tuple[str, base.PowerState]]:
        waiting = collections.deque(some)
        deadline = time.monotonic() + pace.limit_s
        while True:
            now = time.monotonic()
            while waiting and self._has_room(now) and now < deadline:
                owner, one = waiting.popleft()
                answer = self._threads.submit(
                    self._power_of, owner, one.credentials, pace
                )
                self._running[owner] = one, answer, now
            yield from self._answers(pace)
            young = self._young(now)
            if now >= deadline or not (waiting or young):
                return
            concurrent.futures.wait(
                [answer for _one, answer, _at in self._running.values()],
                min(TICK_S, deadline - now),
                concurrent.futures.FIRST_COMPLETED,
            )

    def _young(self, now: float) -> list[tuple[_Known, Answer, float]]:
        return [
            one for one in self._running.values() if now - one[2] < YOUNG_S
        ]

    def _has_room(self, now: float) -> bool:
        return (
            len(self._running) < OLD_TIMES * self._workers
            and len(self._young(now)) < self._workers
        )

    def _power_of(
        self, owner: str, credentials: Credentials, pace: Pace
    ) -> tuple[base.PowerState, float]:
        def ask(bmc: base.Bmc) -> tuple[base.PowerState, float]:
            began = time.monotonic()
            answer = bmc.get_power(), time.monotonic() - began
            if isinstance(bmc, redfish.RedfishBmc) and pace.events:
                self._hear(owner, bmc)
            return answer

        return self._sessions.call(owner, credentials, ask, hold=pace.hold)

    def _hear(self, owner: str, bmc: redfish.RedfishBmc) -> None:
        """Hear the events of a BMC; what goes wrong leaves it to polls."""
        held = len(self._sessions) + len(self._listener)
        if held >= self._sessions.max_sessions:
            return
        try:
            stream = bmc.event_stream()
            if stream is not None:
                self._listener.hear(owner, stream)
        except Exception as exc:
            LOG.debug('The events of node %s are not heard: %s', owner, exc)

    def _answers(self, pace: Pace) -> Iterator[tuple[str, base.PowerState]]:
        """Yield what workers have found out, whenever they were asked."""
        for owner, (one, answer, _at) in list(self._running.items()):
            if not answer.done():
                continue
            del self._running[owner]
            try:
                power, seconds = answer.result()
            except Exception as exc:
                # Whatever its firmware or a library made of it: what it
                # means is for ironic's own loop to say, which counts.
                LOG.debug('The BMC of node %s: %s', owner, exc)
                one.rest(exc)
                continue
            one.failures = 0
            one.slow = seconds > SLOW_S
            rest_s = max(pace.poll_s, SILENT_S if one.slow else 0.0)
            now = time.monotonic()
            if one.credentials.protocol is base.BmcProtocol.REDFISH:
                rest_s = pace.redfish_poll_s
                if now - one.heard_at < EVENT_PAUSE_S:
                    rest_s = min(rest_s, one.gap_s)
                    one.gap_s *= 2
                else:
                    one.gap_s = EVENT_GAP_S
            one.due = now + rest_s
            if self._known.get(owner) is one:
                yield owner, power

    def close(self) -> None:
        """Ask nobody any more, and wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._listener.close()
        self._probe.close()
