"""Renews leases while their relays are busy, and knows when one is no longer ours."""

from __future__ import annotations

import os
import threading
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from tidings.errors import LeaseLostError
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tidings.interfaces import Lease, PublishedMessageTracker

log = escaping_logger(__name__)

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
LONGEST_JOIN = 5.0
_RENEW_AFTER = 1 / 3
"""The part of its time after which a lease is renewed."""
_WITH_OTHERS_AFTER = 1 / 6
"""The part of it after which it is renewed with another one that is due: they fall into step."""
_TRY_AGAIN_AFTER = 1 / 10


def now() -> float:
    """Return seconds that never go back, and that go on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class Renewal(Enum):
    """What came of asking the tracker to renew a lease."""

    RUNS_ON = auto()
    LOST = auto()
    NO_ANSWER = auto()


class KeptLease:
    """A lease that is renewed while in use, at a third of its time, together with others.

    ::

        asked = now()
        with KeptLease(tracker, tracker.acquire_lease(...), asked) as kept:
            kept.check()

    One thread renews all leases of a tracker in one call. One that is lost ends for itself.

    **Threads.** Every method may be called from any thread.
    """

    def __init__(self, tracker: PublishedMessageTracker, lease: Lease, asked: float) -> None:
        self.lease = lease
        self.tracker = tracker
        self.lost = False
        self._until = asked + lease.seconds
        self._not_before = asked

    def check(self) -> None:
        """Raise :class:`LeaseLostError` if it is not known to be ours any more.

        By this machine's own clock, counted from before the last renewal was asked for. A process
        that was frozen notices here, before it sends another batch.
        """
        if self.lost or now() > self._until:
            raise LeaseLostError(self.lease.exchange_name)

    def renewed(self, asked: float) -> None:
        """Note that a renewal asked for at ``asked`` has succeeded."""
        # Renewals of two threads may end in another order than they began.
        self._until = max(self._until, asked + self.lease.seconds)

    def answered(self, renewal: Renewal, asked: float) -> None:
        """Note what came of a renewal asked for at ``asked``."""
        if renewal is Renewal.RUNS_ON:
            self.renewed(asked)
        elif renewal is Renewal.LOST:
            self.lost = True
        else:
            self._not_before = now() + self.lease.seconds * _TRY_AGAIN_AFTER

    def due(self, after: float = _RENEW_AFTER) -> float:
        """Return when that part of its time is over since it was last renewed."""
        return max(self._until - self.lease.seconds * (1 - after), self._not_before)

    def __enter__(self) -> Self:
        _keepers.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _keepers.remove(self)


class _Keepers:
    """One keeper for each tracker of the process that has leases in use."""

    _lock: threading.Lock

    def __init__(self) -> None:
        self._begin()
        # A child has none of these threads, and is to renew none of these leases.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._keepers: dict[int, _Keeper] = {}

    def add(self, kept: KeptLease) -> None:
        with self._lock:
            keeper = self._keepers.get(id(kept.tracker))
            if keeper is None:
                keeper = self._keepers[id(kept.tracker)] = _Keeper(kept.tracker)
            keeper.add(kept)

    def remove(self, kept: KeptLease) -> None:
        with self._lock:
            keeper = self._keepers.get(id(kept.tracker))
            if keeper is None or keeper.remove(kept):
                return
            del self._keepers[id(kept.tracker)]
        keeper.end()


class _Keeper:
    """Renews the leases of one tracker, by a thread of its own."""

    def __init__(self, tracker: PublishedMessageTracker) -> None:
        self._tracker = tracker
        self._changed = threading.Condition()
        self._kept: set[KeptLease] = set()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="tidings-leases", daemon=True)
        self._thread.start()

    def add(self, kept: KeptLease) -> None:
        with self._changed:
            self._kept.add(kept)
            self._changed.notify()

    def remove(self, kept: KeptLease) -> bool:
        """Keep it no longer; return whether there are others."""
        with self._changed:
            self._kept.discard(kept)
            return bool(self._kept)

    def end(self) -> None:
        """Let the thread end; a renewal that hangs is not waited for."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join(LONGEST_JOIN)

    def _run(self) -> None:
        while kept := self._wait_for_due():
            asked = now()
            answers = self._renew([each.lease for each in kept])
            for each in kept:
                each.answered(answers.get(each.lease, Renewal.NO_ANSWER), asked)

    def _wait_for_due(self) -> Sequence[KeptLease]:
        """Return, when one is to be renewed, all that may be by now; none at the end."""
        with self._changed:
            while not self._over:
                ours = [each for each in self._kept if not each.lost]
                left = min((each.due() for each in ours), default=float("inf")) - now()
                if left <= 0:
                    return [each for each in ours if each.due(_WITH_OTHERS_AFTER) <= now()]
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
        return ()

    def _renew(self, leases: Sequence[Lease]) -> Mapping[Lease, Renewal]:
        try:
            return {
                lease: Renewal.RUNS_ON if runs_on else Renewal.LOST
                for lease, runs_on in self._tracker.renew_leases(leases).items()
            }
        except Exception as error:  # noqa: BLE001 - tried again soon, whatever it is
            # The relays themselves meet the same database, and tell of it.
            log.debug("Could not renew %d lease(s): %s", len(leases), error)
            return {}


_keepers = _Keepers()
