"""Event stores with one fault each, for the suite to find."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidings.builtin.memory import InMemoryEventStore
from tidings.errors import InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings.builtin.memory.event_store import InMemoryTransaction
    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import Hold


class Base(InMemoryEventStore):
    pass


class WaitsForEver(Base):
    def wait(self, seconds: float) -> bool:
        return threading.Event().wait()


class HearsOnlyWhatComesLater(Base):
    def wait(self, seconds: float) -> bool:
        return threading.Event().wait(seconds)


class WaitsInVain(Base):
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class LosesWhatEndsTheWait(Base):
    def wait(self, seconds: float) -> bool:
        with self._lock:
            self._events.clear()
        return True


class ShowsElevenBeforeTen(Base):
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        return [event for event in self._events if event.event_id > event_id][:limit]


class NeverSaysWhy(Base):
    def hold(self) -> Hold | None:
        return None


class HoldsForEver(Base):
    """Takes every hole for an event that may still appear."""

    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        found = super().all_stored_events_since(event_id, limit)
        return [
            event for place, event in enumerate(found) if event.event_id == event_id + 1 + place
        ]


class GivesUpAfterThreePolls(Base):
    polls = 0

    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        found = super().all_stored_events_since(event_id, limit)
        self.polls = self.polls + 1 if self.hold() else 0
        if self.polls > 2:
            return [event for event in self._events if event.event_id > event_id][:limit]
        return found


class KeepsWhatWasRolledBack(Base):
    def _end(self, transaction: InMemoryTransaction, *, commit: bool) -> None:
        super()._end(transaction, commit=True)


class CommitsByItself(Base):
    def append(self, connection: Any, *events: NewEvent) -> None:
        super().append(connection, *events)
        with self._lock:
            self._events += connection.events
            connection.events = []


class StoresHalf(Base):
    def append(self, connection: Any, *events: NewEvent) -> None:
        for event in events:
            super().append(connection, event)


class StoresAnything(Base):
    def append(self, connection: Any, *events: NewEvent) -> None:
        try:
            super().append(connection, *events)
        except InvalidEventError:
            super().append(connection, *[each for each in events if isinstance(each.body, int)])


class ReversesEvents(Base):
    def append(self, connection: Any, *events: NewEvent) -> None:
        super().append(connection, *reversed(events))


class Changes(Base):
    """Stores something other than it was given."""

    def change(self, event: StoredEvent) -> StoredEvent:
        raise NotImplementedError

    @contextmanager
    def transaction(self) -> Iterator[InMemoryTransaction]:
        with super().transaction() as transaction:
            yield transaction
            transaction.events = [self.change(event) for event in transaction.events]


class CutsMicroseconds(Changes):
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(occurred_on=event.occurred_on.replace(microsecond=0))


class LosesTheZone(Changes):
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(occurred_on=event.occurred_on.replace(tzinfo=None))


class StoresAscii(Changes):
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(body=event.body.encode("ascii", "replace").decode())


class TakesNoneForEmpty(Changes):
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(
            metadata=event.metadata or "{}", aggregate_id=event.aggregate_id or ""
        )


class CountsFromHere(Base):
    """Takes the event after which it is to read as the first."""

    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        return super().all_stored_events_since(event_id - 1, limit)


class IgnoresTheLimit(Base):
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        return super().all_stored_events_since(event_id, 1000)


class EmptiesOnCreate(Base):
    def create(self) -> None:
        self._events.clear()


class DiesWhenClosed(Base):
    closed = False

    def close(self) -> None:
        self.closed = True

    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        if self.closed:
            raise RuntimeError("this store is closed")
        return super().all_stored_events_since(event_id, limit)
