"""Trackers with one fault each, for the suite to find."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.builtin.memory import InMemoryTracker
from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.interfaces import (
    Capability,
    IdleRelay,
    Lease,
    Pause,
    Position,
    TrackedExchange,
    fingerprint,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from tidings.event import StoredEvent
    from tidings.interfaces import JournalEntry, QuarantinedEvent


class Base(InMemoryTracker):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        if not super().replay(exchange_name, after_event_id, generation=generation):
            return False
        row = self._rows[exchange_name]
        by_the_clock = max(row.position.generation, time.time_ns() // 1000)
        row.position = row.position._replace(generation=by_the_clock)
        return True


class CountsReplays(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        return InMemoryTracker.replay(self, exchange_name, after_event_id, generation=generation)


class ReplaysWhateverCameFirst(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        return super().replay(exchange_name, after_event_id)


class ReplaysInNoTurn(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        return generation is None and super().replay(exchange_name, after_event_id)


class DrawsLongGenerations(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        done = super().replay(exchange_name, after_event_id, generation=generation)
        row = self._rows[exchange_name]
        row.position = row.position._replace(generation=uuid.uuid4().int)
        return done


class ShowsWhoseLeaseExpired(Base):
    @override
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        rows = super().tracked_exchanges()
        return [replace(row, owner=self._rows[row.exchange_name].owner) for row in rows]


class LeavesAThread(Base):
    @override
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        threading.Thread(target=threading.Event().wait, name="pool", daemon=True).start()
        return super().most_recent_published_message_id(exchange_name)


class FindsTheQuarantineByPrefix(Base):
    @override
    def quarantined_events(
        self, exchange_name: str | None = None, *, retry_asked: bool = False
    ) -> Sequence[QuarantinedEvent]:
        found = super().quarantined_events(retry_asked=retry_asked)
        return [each for each in found if each.exchange_name.startswith(exchange_name or "")]


class CountsWhatIsToBeRetried(Base):
    @override
    def count_quarantined(self) -> Mapping[str, int]:
        return Counter(each.exchange_name for each in self.quarantined_events(retry_asked=True))


class RetriesByPrefix(Base):
    @override
    def ask_to_retry(self, exchange_name: str, event_id: int | None = None) -> int:
        names = [name for name in self._rows if name.startswith(exchange_name)]
        return sum(super(RetriesByPrefix, self).ask_to_retry(name, event_id) for name in names)


class EmptiesByPrefix(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        done = super().replay(exchange_name, after_event_id, generation=generation)
        for name, row in self._rows.items():
            if name.startswith(exchange_name):
                row.quarantined = {n: e for n, e in row.quarantined.items() if n <= after_event_id}
        return done


class FindsTheJournalByPattern(Base):
    """As ``LIKE`` does with names that have an underscore in them."""

    @override
    def journal(
        self,
        exchange_name: str | None = None,
        *,
        since: datetime | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> Sequence[JournalEntry]:
        found = super().journal(since=since, after=after, limit=limit)
        pattern = ".*" if exchange_name is None else re.escape(exchange_name).replace("_", ".")
        return [each for each in found if re.fullmatch(pattern, each.exchange_name)]


class PausesByPrefix(Base):
    @override
    def pause(self, exchange_name: str, pause: Pause) -> bool:
        for name in [*self._rows]:
            if name.startswith(exchange_name):
                super().pause(name, pause)
        return True


class ForgetsIdleRelaysByPrefix(Base):
    @override
    def forget_idle(self, exchange_name: str, owner: str) -> None:
        for name in [*self._rows]:
            if name.casefold().startswith(exchange_name.casefold()):
                super().forget_idle(name, owner)


class SaysNothingOfItself(Base):
    capabilities = frozenset[Capability]()


class LosesTheEpoch(Base):
    """Forgets the epoch with the lease, as one that deletes the row does."""

    @override
    def release_lease(self, lease: Lease) -> None:
        super().release_lease(lease)
        row = self._rows[lease.exchange_name]
        if row.owner is None:
            row.epoch = 0


class FencesNobody(Base):
    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        row = self._rows[exchange_name]
        current = replace(lease, epoch=row.epoch)
        super().track_most_recent_published_message(exchange_name, event, current)


class FencesTooLate(Base):
    """Moves the position, and then finds that the lease is gone."""

    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        row = self._rows[exchange_name]
        row.position = row.position._replace(event_id=event.event_id)
        super().track_most_recent_published_message(exchange_name, event, lease)


class MovesWhatWasReleased(Base):
    @override
    def release_lease(self, lease: Lease) -> None:
        row = self._rows[lease.exchange_name]
        if row.epoch == lease.epoch:
            row.expires = 0.0


class GivesTheLeaseToAll(Base):
    """Looks first and takes later, as one without compare-and-set does."""

    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        row = self._rows.get(exchange_name)
        if (
            row
            and row.is_leased(time.monotonic())
            and row.owner != owner
            and in_place_of != row.epoch
        ):
            left = row.expires - time.monotonic()
            raise LeaseHeldError(exchange_name, str(row.owner), row.epoch, left)
        time.sleep(0.05)  # the window that a slow database leaves open
        with self._lock:
            if exchange_name in self._rows:
                self._rows[exchange_name].owner = None
        return super().acquire_lease(exchange_name, owner, seconds)


class TrustsTheCallersClock(Base):
    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        ahead = time.time() - self.made
        row = self._rows.get(exchange_name)
        if row and row.expires < time.monotonic() + ahead:
            row.owner = None
        return super().acquire_lease(exchange_name, owner, seconds, in_place_of=in_place_of)

    def __init__(self) -> None:
        super().__init__()
        self.made = time.time()


class NamesWhoGaveItBack(Base):
    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, str] = {}

    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        lease = super().acquire_lease(exchange_name, owner, seconds, in_place_of=in_place_of)
        before = self.last.get(exchange_name)
        self.last[exchange_name] = owner
        return replace(lease, taken_from=before)


class TakesAnyPlace(Base):
    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        row = self._rows.get(exchange_name)
        epoch = row.epoch if row and in_place_of else None
        return super().acquire_lease(exchange_name, owner, seconds, in_place_of=epoch)


class NeverExpires(Base):
    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        return super().acquire_lease(exchange_name, owner, seconds * 1000, in_place_of=in_place_of)


class DoesNotRenew(Base):
    @override
    def renew_lease(self, lease: Lease) -> None:
        row = self._rows[lease.exchange_name]
        if row.epoch != lease.epoch or row.owner is None:
            raise LeaseLostError(lease.exchange_name)

    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        row = self._rows[exchange_name]
        expires = row.expires
        super().track_most_recent_published_message(exchange_name, event, lease)
        row.expires = expires


class RenewsUntilOneIsLost(Base):
    """As one does that renews all in a loop, and forgets that one call may raise."""

    @override
    def renew_leases(self, leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        answers = {}
        for lease in leases:
            try:
                self.renew_lease(lease)
            except LeaseLostError:
                break
            answers[lease] = True
        return answers


class RenewsWhoeverHolds(Base):
    """As one statement does that looks for exchanges, and not for leases."""

    @override
    def renew_leases(self, leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        for lease in leases:
            self._rows[lease.exchange_name].expires = time.monotonic() + lease.seconds
        return super().renew_leases(leases)


class BelievesInItsLeases(Base):
    @override
    def renew_leases(self, leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        super().renew_leases(leases)
        return dict.fromkeys(leases, True)


class RenewsOnlyTheFirst(Base):
    @override
    def renew_leases(self, leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        super().renew_leases(leases[:1])
        return dict.fromkeys(leases, True)


class ReleasesForOthers(Base):
    @override
    def release_lease(self, lease: Lease) -> None:
        self._rows[lease.exchange_name].owner = None


class ForgetsTheFingerprint(Base):
    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        super().track_most_recent_published_message(exchange_name, event, lease)
        self._rows[exchange_name].fingerprint = None


class ReplaysAll(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        for name in list(self._rows):
            super().replay(name, after_event_id)
        return True


class ReplaysWithinTheGeneration(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        done = super().replay(exchange_name, after_event_id, generation=generation)
        row = self._rows[exchange_name]
        row.position = Position(after_event_id, 0)
        return done


class ReplaysBesideTheQuarantine(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        kept = dict(self._rows[exchange_name].quarantined)
        done = super().replay(exchange_name, after_event_id, generation=generation)
        self._rows[exchange_name].quarantined = kept
        return done


class MarksTheTypeThatIsMended(Base):
    @override
    def quarantine(self, exchange_name: str, event: StoredEvent, reason: str, lease: Lease) -> None:
        super().quarantine(exchange_name, event, reason, lease)
        self._rows[exchange_name].fingerprint = fingerprint(event)


class ReplaysUnderTheHolder(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        row = self._rows[exchange_name]
        row.position = Position(after_event_id, row.position.generation + 1)
        return True


class IgnoresCase(Base):
    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        name = exchange_name.casefold()
        return super().acquire_lease(name, owner, seconds, in_place_of=in_place_of)


class KeepsThirtyTwoBits(Base):
    @override
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        position = super().most_recent_published_message_id(exchange_name)
        return position and position & 0x7FFFFFFF


class ListsInAnyOrder(Base):
    @override
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        return list(reversed(super().tracked_exchanges()))


class LooksForOneExchangeInAnyCase(Base):
    @override
    def tracked_exchange(self, exchange_name: str) -> TrackedExchange | None:
        wanted = exchange_name.lower()
        rows = self.tracked_exchanges()
        return next((row for row in rows if row.exchange_name.lower() == wanted), None)


class ShowsNobodyIdleOfOneExchange(Base):
    @override
    def tracked_exchange(self, exchange_name: str) -> TrackedExchange | None:
        row = super().tracked_exchange(exchange_name)
        return row and replace(row, idle=())


class CallsTheBeginningZero(Base):
    @override
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        return super().most_recent_published_message_id(exchange_name) or 0


class ShowsIdleRelaysEverywhere(Base):
    @override
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        rows = super().tracked_exchanges()
        everywhere = [relay for row in rows for relay in row.idle]
        return [replace(row, idle=everywhere) for row in rows]


class AddsToWhatARelaySaid(Base):
    """Finds a relay by all it says, and so keeps what it said before."""

    @override
    def note_idle(self, exchange_name: str, relay: IdleRelay, seconds: float) -> None:
        before = dict(self._rows[exchange_name].idle)
        super().note_idle(exchange_name, relay, seconds)
        for owner, noted in before.items():
            self._rows[exchange_name].idle[f"{owner} before"] = noted


class KeepsIdleRelaysForGood(Base):
    @override
    def note_idle(self, exchange_name: str, relay: IdleRelay, seconds: float) -> None:
        super().note_idle(exchange_name, relay, seconds * 1000)


class ForgetsIdleRelaysOfAll(Base):
    @override
    def forget_idle(self, exchange_name: str, owner: str) -> None:
        super().forget_idle(exchange_name, owner)
        for row in self._rows.values():
            row.idle.pop(owner, None)


class KeepsTheWholeJournal(Base):
    @override
    def write_journal(
        self, entries: Sequence[JournalEntry], *, most: int, longest: timedelta
    ) -> None:
        super().write_journal(entries, most=most + 1000, longest=longest)


class KeepsTheJournalForGood(Base):
    @override
    def write_journal(
        self, entries: Sequence[JournalEntry], *, most: int, longest: timedelta
    ) -> None:
        super().write_journal(entries, most=most, longest=longest * 100)


class GivesTheOldest(Base):
    @override
    def journal(
        self,
        exchange_name: str | None = None,
        *,
        since: datetime | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> Sequence[JournalEntry]:
        return super().journal(exchange_name, since=since, after=after)[:limit]


class CountsTheJournalAnew(Base):
    """Takes the number of the entry in its own call for its id."""

    @override
    def write_journal(
        self, entries: Sequence[JournalEntry], *, most: int, longest: timedelta
    ) -> None:
        for entry in entries:
            self._entries = 0
            super().write_journal([entry], most=most, longest=longest)


class PausesAnew(Base):
    @override
    def pause(self, exchange_name: str, pause: Pause) -> bool:
        self.resume(exchange_name)
        super().pause(exchange_name, pause)
        return False


class ForgetsThePauseInAReplay(Base):
    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        done = super().replay(exchange_name, after_event_id, generation=generation)
        self.resume(exchange_name)
        return done


class PausesEveryExchange(Base):
    @override
    def pause(self, exchange_name: str, pause: Pause) -> bool:
        for name in [*self._rows]:
            super().pause(name, pause)
        return super().pause(exchange_name, pause)


class NamesNoPausedExchange(Base):
    @override
    def paused_exchanges(self) -> Collection[str]:
        return ()


class NamesPausedExchangesInLowerCase(Base):
    @override
    def paused_exchanges(self) -> Collection[str]:
        return [name.lower() for name in super().paused_exchanges()]


class PausesByTakingTheLease(Base):
    @override
    def pause(self, exchange_name: str, pause: Pause) -> bool:
        is_new = super().pause(exchange_name, pause)
        self._rows[exchange_name].owner = None
        return is_new


class TakesAnybodysStop(Base):
    @override
    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        row = self._rows[lease.exchange_name]
        super().note_stop(event_id, reason, replace(lease, epoch=row.epoch))
