# SPDX-License-Identifier: Apache-2.0
"""Logged-in BMCs, held between calls and shared by all who ask.

A login costs five packets (IPMI) or a TLS handshake and a session (Redfish), a
question on a held session two packets. One pool a process, made when it is
first used and closed at exit: `shared()`. Called by the drivers and by
monitoring with the node's uuid as owner. At most one session per owner and
`max_sessions` in all, each of which is an open file; one that was idle for
`idle_s` is closed at the next call, before the BMC forgets it. A BMC without
a free slot is left be for a while, which grows.
"""

import atexit
import collections
import dataclasses
import functools
import resource
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from oslo_log import log

from zsbm_ironic.bmc import base, ipmi, redfish, together
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception

LOG = log.getLogger(__name__)
T = TypeVar('T')

# A BMC closes a session after 60 s +/- 3 s without traffic: IPMI v2.0 6.12.15.
IDLE_S = 45.0
# More than a conductor has nodes; fewer where it may not open as many files,
# of which all else gets its part.
MAX_SESSIONS = 4096
OTHER_FILES = 384
WAIT_S = 30.0
SWEEP_S = 5.0
# How long a BMC without a free slot is left be: twice as long each time.
FULL_MIN_S = 5.0
FULL_MAX_S = 60.0
# All log-outs together, so many side by side.
CLOSE_S = 5.0
# How long nobody but a person tries a password that was refused.
REFUSED_S = 300.0
CLOSERS = 16

LOGINS: dict[
    base.BmcProtocol, Callable[[bmc_credentials.Credentials], base.Bmc]
] = {
    base.BmcProtocol.IPMI: ipmi.IpmiBmc,
    base.BmcProtocol.REDFISH: redfish.RedfishBmc,
}


@dataclasses.dataclass(eq=False)
class _Place:
    """One owner's session; `lock` is held while anybody uses it."""

    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    credentials: bmc_credentials.Credentials | None = None
    bmc: Any = None
    used_at: float = 0.0
    full_times: int = 0
    full_until: float = 0.0
    refusal: exception.BmcCredentialsRefused | None = None
    refused_until: float = 0.0

    def close(self) -> None:
        bmc, self.bmc = self.bmc, None
        if bmc is not None:
            try:
                bmc.close()
            except Exception as exc:
                LOG.debug('A BMC session did not close: %s', exc)


class Pool:
    """Sessions by owner."""

    def __init__(
        self, idle_s: float = IDLE_S, max_sessions: int = MAX_SESSIONS
    ) -> None:
        """Make an empty pool; contacts nobody."""
        self.idle_s = idle_s
        self.max_sessions = max_sessions
        self._places: collections.OrderedDict[str, _Place] = (
            collections.OrderedDict()
        )
        self._guard = threading.Lock()
        self._swept_at = 0.0
        self._ending = False

    def __len__(self) -> int:
        """Count the sessions that are held now."""
        return sum(p.bmc is not None for p in list(self._places.values()))

    def call(
        self,
        owner: str,
        credentials: bmc_credentials.Credentials,
        function: Callable[[Any], T],
        *,
        once: bool = False,
        hold: bool = True,
        unasked: bool = False,
    ) -> T:
        """Run `function` on the logged-in BMC of an owner.

        A held session may have died with its BMC: what only reads is then
        run again after a new login, what acts is not.

        :param credentials: with the protocol decided.
        :param once: `function` acts. A held session is tried with a harmless
            question first, so that an action is not sent into the void.
        :param hold: False gives the BMC its slot back at once.
        :param unasked: no person waits for it: a BMC that refused the
            password is left be for REFUSED_S, so that it locks nobody out.
        :raises BmcBusy: somebody else used the session for 30 s, the BMC has
            no free slot and is left be.
        """
        self.sweep()
        place = self._locked(owner, credentials.address)
        try:
            if unasked:
                _let_be(place, credentials)
            return self._run(place, credentials, function, once)
        except exception.BmcBusy:
            # It is there: another login would be more work for it.
            raise
        except exception.ZsbmError:
            place.close()
            raise
        finally:
            if not hold or self._ending:
                place.close()
            place.used_at = time.monotonic()
            place.lock.release()

    def _run(
        self,
        place: _Place,
        credentials: bmc_credentials.Credentials,
        function: Callable[[Any], T],
        once: bool,
    ) -> T:
        stale = time.monotonic() - place.used_at > self.idle_s
        if place.credentials != credentials or stale:
            place.close()
        held = place.bmc is not None
        if not held and not once:
            _respect(place, credentials.address)
        try:
            bmc = self._logged_in(place, credentials)
            if not once:
                return function(bmc)
            if held:
                bmc.get_power()
        except (exception.BmcUnreachable, exception.BmcCredentialsRefused):
            # A Redfish session that the BMC forgot is refused like a wrong
            # password: only a fresh login tells them apart.
            if not held:
                raise
            place.close()
            bmc = self._logged_in(place, credentials)
        return function(bmc)

    def _logged_in(
        self, place: _Place, credentials: bmc_credentials.Credentials
    ) -> Any:
        if place.bmc is None:
            try:
                place.bmc = LOGINS[credentials.protocol](credentials)
            except exception.BmcBusy:
                place.full_times += 1
                place.full_until = time.monotonic() + min(
                    FULL_MAX_S, FULL_MIN_S * 2 ** (place.full_times - 1)
                )
                raise
            except exception.BmcCredentialsRefused as exc:
                place.credentials, place.refusal = credentials, exc
                place.refused_until = time.monotonic() + REFUSED_S
                raise
            place.credentials = credentials
            place.full_times = 0
            place.refusal = None
        return place.bmc

    def holds(
        self, owner: str, credentials: bmc_credentials.Credentials
    ) -> bool:
        """Say whether there is an IPMI session that `powers` can ask on."""
        place = self._places.get(owner)
        return place is not None and self._is_live(place, credentials)

    def _is_live(
        self, place: _Place, credentials: bmc_credentials.Credentials
    ) -> bool:
        return (
            isinstance(place.bmc, ipmi.IpmiBmc)
            and place.credentials == credentials
            and time.monotonic() - place.used_at <= self.idle_s
        )

    def powers(
        self,
        wanted: Mapping[str, bmc_credentials.Credentials],
        limit_s: float,
    ) -> Iterator[tuple[str, base.PowerState | None]]:
        """Ask the IPMI BMCs with which a session is held, all at once.

        :param wanted: by owner; whoever has no session, or whose session is
            in use, is left out.
        :param limit_s: how long to wait for those that do not answer.
        :returns: owner and power, as the answers come; None for no answer,
            whose session is closed.
        """
        places: dict[str, _Place] = {}
        try:
            for owner, credentials in wanted.items():
                place = self._lent(owner, credentials)
                if place is not None:
                    places[owner] = place
            answers = together.ask(
                {name: place.bmc.session for name, place in places.items()},
                ipmi.CHASSIS,
                ipmi.GET_STATUS,
                limit_s,
            )
            for owner, answer in answers:
                place = places.pop(owner)
                power = ipmi.power_in(answer)
                if power is None:
                    place.close()
                place.used_at = time.monotonic()
                place.lock.release()
                yield owner, power
        finally:
            for place in places.values():
                place.lock.release()

    def _lent(
        self, owner: str, credentials: bmc_credentials.Credentials
    ) -> _Place | None:
        """Return a place with a live IPMI session that nobody uses, locked."""
        with self._guard:
            place = self._places.get(owner)
            if place is None or not place.lock.acquire(blocking=False):
                return None
            self._places.move_to_end(owner)
        if self._is_live(place, credentials):
            return place
        place.lock.release()
        return None

    def _locked(self, owner: str, address: str) -> _Place:
        while True:
            with self._guard:
                place = self._places.setdefault(owner, _Place())
                self._places.move_to_end(owner)
            if not place.lock.acquire(timeout=WAIT_S):
                raise exception.BmcBusy(
                    address=address,
                    answer=f'another call has used it for {WAIT_S:.0f} s',
                )
            # Dropped while we waited: a new place belongs to the owner.
            if self._places.get(owner) is place:
                return place
            place.lock.release()

    def sweep(self) -> None:
        """Close what is idle, and the oldest where there are too many."""
        now = time.monotonic()
        with self._guard:
            if now - self._swept_at < SWEEP_S:
                return
            self._swept_at = now
            held = [
                (owner, place)
                for owner, place in self._places.items()
                if place.bmc is not None
            ]
        excess = len(held) - self.max_sessions
        self._drop_all(
            owner
            for index, (owner, place) in enumerate(held)
            if index < excess or now - place.used_at > self.idle_s
        )

    def drop(self, owner: str, *, wait: bool = True) -> None:
        """Close an owner's session: its node moved, changed or went away.

        :param wait: False leaves a session that is in use alone.
        """
        with self._guard:
            place = self._places.get(owner)
        if place is None:
            return
        if place.lock.acquire(blocking=wait, timeout=WAIT_S if wait else -1):
            try:
                place.close()
                with self._guard:
                    if self._places.get(owner) is place:
                        del self._places[owner]
            finally:
                place.lock.release()

    def keep_only(self, owners: Collection[str]) -> None:
        """Drop the sessions of all others, as after a rebalance."""
        self._drop_all(set(self._places) - set(owners))

    def _drop_all(self, owners: Iterable[str], limit_s: float = 0.0) -> None:
        log_out(
            (functools.partial(self.drop, one, wait=False) for one in owners),
            limit_s,
        )

    def close(self) -> None:
        """Log out everywhere, and hold no session from now on.

        One that is in use is closed by its user. A BMC that is dead by
        then keeps nobody: what is not closed within CLOSE_S is left to
        threads that end with the process.
        """
        self._ending = True
        self._drop_all(list(self._places), CLOSE_S)


def log_out(
    closings: Iterable[Callable[[], object]], limit_s: float = CLOSE_S
) -> None:
    """Call each, many side by side, and wait for so long at most."""
    todo = collections.deque(closings)

    def work() -> None:
        while True:
            try:
                close = todo.popleft()
            except IndexError:
                return
            try:
                close()
            except Exception as exc:
                LOG.debug('A BMC session did not close: %s', exc)

    threads = [
        threading.Thread(target=work, daemon=True)
        for _ in range(min(CLOSERS, len(todo)))
    ]
    for one in threads:
        one.start()
    deadline = time.monotonic() + limit_s
    for one in threads:
        one.join(max(0.0, deadline - time.monotonic()))


def _respect(place: _Place, address: str) -> None:
    """Leave a BMC be that had no free slot a moment ago.

    :raises BmcBusy: it is not time yet.
    """
    left_s = place.full_until - time.monotonic()
    if left_s > 0:
        raise exception.BmcBusy(
            address=address,
            answer=f'no session is free, asked again in {left_s:.0f} s',
        )


def _let_be(place: _Place, credentials: bmc_credentials.Credentials) -> None:
    """Do not try a password again that was refused a while ago.

    :raises BmcCredentialsRefused: as it was then.
    """
    if (
        place.refusal is not None
        and place.credentials == credentials
        and time.monotonic() < place.refused_until
    ):
        raise place.refusal


_shared: Pool | None = None
_shared_guard = threading.Lock()


def shared() -> Pool:
    """Return the pool of this process, made at the first call."""
    global _shared
    with _shared_guard:
        if _shared is None:
            _shared = Pool(max_sessions=allowed_sessions())
            atexit.register(_shared.close)
        return _shared


def allowed_sessions() -> int:
    """Return how many sessions the files that we may open allow.

    Whoever has more BMCs pays a login for each question to some of them: the
    log says so once.
    """
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_SESSIONS
    found = max(1, min(MAX_SESSIONS, soft - OTHER_FILES))
    if found < MAX_SESSIONS:
        LOG.info(
            'Sessions with at most %d BMCs are held: this process may open '
            '%d files (LimitNOFILE= of its systemd unit).',
            found,
            soft,
        )
    return found
