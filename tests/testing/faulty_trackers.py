"""Trackers with one fault each, for the suite to find."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tidings.builtin.memory import InMemoryPublishedMessageTracker
from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.interfaces import Lease, Position, TrackedExchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent


class Base(InMemoryPublishedMessageTracker):
    pass


class LosesTheEpoch(Base):
    """Forgets the epoch with the lease, as one that deletes the row does."""

    def release_lease(self, lease: Lease) -> None:
        super().release_lease(lease)
        row = self._rows[lease.exchange_name]
        if row.owner is None:
            row.epoch = 0


class FencesNobody(Base):
    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        row = self._rows[exchange_name]
        current = replace(lease, epoch=row.epoch)
        super().track_most_recent_published_message(exchange_name, notification, current)


class FencesTooLate(Base):
    """Moves the position, and then finds that the lease is gone."""

    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        row = self._rows[exchange_name]
        row.position = row.position._replace(event_id=notification.event_id)
        super().track_most_recent_published_message(exchange_name, notification, lease)


class MovesWhatWasReleased(Base):
    def release_lease(self, lease: Lease) -> None:
        row = self._rows[lease.exchange_name]
        if row.epoch == lease.epoch:
            row.expires = 0.0


class GivesTheLeaseToAll(Base):
    """Looks first and takes later, as one without compare-and-set does."""

    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        row = self._rows.get(exchange_name)
        if row and row.held(time.monotonic()) and row.owner != owner and in_place_of != row.epoch:
            left = row.expires - time.monotonic()
            raise LeaseHeldError(exchange_name, str(row.owner), row.epoch, left)
        time.sleep(0.05)  # the window that a slow database leaves open
        with self._lock:
            if exchange_name in self._rows:
                self._rows[exchange_name].owner = None
        return super().acquire_lease(exchange_name, owner, seconds)


class TrustsTheCallersClock(Base):
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


class TakesAnyPlace(Base):
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        row = self._rows.get(exchange_name)
        epoch = row.epoch if row and in_place_of else None
        return super().acquire_lease(exchange_name, owner, seconds, in_place_of=epoch)


class NeverExpires(Base):
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        return super().acquire_lease(exchange_name, owner, seconds * 1000, in_place_of=in_place_of)


class DoesNotRenew(Base):
    def renew_lease(self, lease: Lease) -> None:
        row = self._rows[lease.exchange_name]
        if row.epoch != lease.epoch or row.owner is None:
            raise LeaseLostError(lease.exchange_name)

    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        row = self._rows[exchange_name]
        expires = row.expires
        super().track_most_recent_published_message(exchange_name, notification, lease)
        row.expires = expires


class ReleasesForOthers(Base):
    def release_lease(self, lease: Lease) -> None:
        self._rows[lease.exchange_name].owner = None


class ForgetsTheFingerprint(Base):
    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        super().track_most_recent_published_message(exchange_name, notification, lease)
        self._rows[exchange_name].fingerprint = None


class ReplaysAll(Base):
    def replay(self, exchange_name: str, after_event_id: int) -> None:
        for name in list(self._rows):
            super().replay(name, after_event_id)


class ReplaysWithinTheGeneration(Base):
    def replay(self, exchange_name: str, after_event_id: int) -> None:
        super().replay(exchange_name, after_event_id)
        row = self._rows[exchange_name]
        row.position = Position(after_event_id, 0)


class ReplaysUnderTheHolder(Base):
    def replay(self, exchange_name: str, after_event_id: int) -> None:
        row = self._rows[exchange_name]
        row.position = Position(after_event_id, row.position.generation + 1)


class IgnoresCase(Base):
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        name = exchange_name.casefold()
        return super().acquire_lease(name, owner, seconds, in_place_of=in_place_of)


class KeepsThirtyTwoBits(Base):
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        position = super().most_recent_published_message_id(exchange_name)
        return position and position & 0x7FFFFFFF


class ListsInAnyOrder(Base):
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        return list(reversed(super().tracked_exchanges()))


class CallsTheBeginningZero(Base):
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        return super().most_recent_published_message_id(exchange_name) or 0
