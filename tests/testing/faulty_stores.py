"""Event stores with one fault each, for the suite to find."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tidings.builtin.memory import InMemoryEventStore
from tidings.errors import (
    EventStoreError,
    InvalidEventError,
    UnreadableEventError,
    UnsafeStoreError,
)
from tidings.interfaces import Capability, Waited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tidings.builtin.memory.event_store import InMemoryTransaction
    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import Hold


class Base(InMemoryEventStore):
    capabilities = InMemoryEventStore.capabilities | {Capability.WAKE_UP}

    def __init__(self) -> None:
        super().__init__()
        self.spoiled: set[int] = set()
        self.seen = 0
        self.known = self._identity

    def replace(self) -> None:
        self._identity = uuid.uuid4().hex

    @override
    def check(self) -> None:
        self.known = self._identity

    @override
    def watch(self) -> None:
        if self._identity != self.known:
            raise EventStoreError("It is another store than before.")

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        self.seen = len(self._events)
        found = super().all_stored_events_since(event_id, limit)
        whole = next((i for i, each in enumerate(found) if each.event_id in self.spoiled), None)
        if whole == 0:
            raise unreadable(found[0].event_id)
        return found[:whole]

    @override
    def stored_event(self, event_id: int) -> StoredEvent | None:
        if event_id in self.spoiled:
            raise unreadable(event_id)
        return super().stored_event(event_id)

    @override
    def wait(self, seconds: float) -> Waited:
        if len(self._events) != self.seen:
            return Waited.MAY_BE_NEW
        threading.Event().wait(seconds)
        return Waited.TIME_IS_UP


def unreadable(event_id: int) -> UnreadableEventError:
    return UnreadableEventError(f"Event {event_id} cannot be read.", event_id=event_id)


class FailsTheWholeBatch(Base):
    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        for event in InMemoryEventStore.all_stored_events_since(self, event_id, limit):
            if event.event_id in self.spoiled:
                raise unreadable(event.event_id)
        return super().all_stored_events_since(event_id, limit)


class PassesTheUnreadable(Base):
    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        found = InMemoryEventStore.all_stored_events_since(self, event_id, limit)
        return [event for event in found if event.event_id not in self.spoiled]


class GivesTheUnreadable(Base):
    @override
    def stored_event(self, event_id: int) -> StoredEvent | None:
        return InMemoryEventStore.stored_event(self, event_id)


class NamesItselfAnew(Base):
    @override
    def identity(self) -> str:
        return uuid.uuid4().hex


class NamesItselfAsAll(Base):
    @override
    def identity(self) -> str:
        return "the event store"


class WatchesNothing(Base):
    @override
    def watch(self) -> None:
        pass


class LeavesAThread(Base):
    @override
    def check(self) -> None:
        threading.Thread(target=threading.Event().wait, name="listener", daemon=True).start()


class LeavesAFile(Base):
    @override
    def check(self) -> None:
        self.file = tempfile.NamedTemporaryFile(prefix="events-")  # noqa: SIM115 - the fault


class NeverRests(Base):
    @override
    def wait(self, seconds: float) -> Waited:
        return Waited.MAY_BE_NEW


class SaysAtOnceThatTimeIsUp(Base):
    @override
    def wait(self, seconds: float) -> Waited:
        return Waited.TIME_IS_UP


class GivesAllAtOnce(Base):
    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        return [event for event in self._events if event.event_id > event_id][:limit]


class GivesNoneOfTheLarge(Base):
    """Leaves out what does not fit, also if it is the first."""

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        found = super().all_stored_events_since(event_id, limit)
        return [event for event in found if len(event.body) < 100_000]


class CriesWolf(Base):
    @override
    def watch(self) -> None:
        raise UnsafeStoreError("The sequence was set back.")


class HidesThatItCanPrune(Base):
    capabilities = frozenset({Capability.WAKE_UP})


class PrunesOneTooFew(Base):
    @override
    def prune(self, up_to: int, **options: Any) -> int:
        return super().prune(up_to - 1, **options)


class PrunesTheNewest(Base):
    @override
    def prune(self, up_to: int, *, keep: int = 1, **options: Any) -> int:
        gone = super().prune(up_to, keep=keep, **options)
        if not keep:
            self._events.clear()
        return gone


class PrunesTheYoung(Base):
    @override
    def prune(self, up_to: int, *, occurred_before: datetime | None = None, **options: Any) -> int:
        return super().prune(up_to, **options)


class PrunesWhereItShouldCount(Base):
    @override
    def prune(self, up_to: int, *, dry_run: bool = False, **options: Any) -> int:
        return super().prune(up_to, **options)


class WaitsForEver(Base):
    @override
    def wait(self, seconds: float) -> Waited:
        threading.Event().wait()
        return Waited.TIME_IS_UP


class HearsOnlyWhatComesLater(Base):
    @override
    def wait(self, seconds: float) -> Waited:
        threading.Event().wait(seconds)
        return Waited.TIME_IS_UP


class WaitsInVain(Base):
    @override
    def wait(self, seconds: float) -> Waited:
        time.sleep(seconds)
        return Waited.CANNOT_TELL


class LosesWhatEndsTheWait(Base):
    @override
    def wait(self, seconds: float) -> Waited:
        with self._lock:
            self._events.clear()
        return Waited.MAY_BE_NEW


class ShowsElevenBeforeTen(Base):
    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        return [event for event in self._events if event.event_id > event_id][:limit]


class NeverSaysWhy(Base):
    @override
    def hold(self) -> Hold | None:
        return None


class HoldsForEver(Base):
    """Takes every hole for an event that may still appear."""

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        found = super().all_stored_events_since(event_id, limit)
        return [
            event for place, event in enumerate(found) if event.event_id == event_id + 1 + place
        ]


class GivesUpAfterThreePolls(Base):
    polls = 0

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        found = super().all_stored_events_since(event_id, limit)
        self.polls = self.polls + 1 if self.hold() else 0
        if self.polls > 2:
            return [event for event in self._events if event.event_id > event_id][:limit]
        return found


class KeepsWhatWasRolledBack(Base):
    @override
    def _end(self, transaction: InMemoryTransaction, *, commit: bool) -> None:
        super()._end(transaction, commit=True)


class CommitsByItself(Base):
    @override
    def append(self, connection: Any, *events: NewEvent) -> None:
        super().append(connection, *events)
        with self._lock:
            self._events += connection.events
            connection.events = []


class StoresHalf(Base):
    @override
    def append(self, connection: Any, *events: NewEvent) -> None:
        for event in events:
            super().append(connection, event)


class StoresAnything(Base):
    @override
    def append(self, connection: Any, *events: NewEvent) -> None:
        try:
            super().append(connection, *events)
        except InvalidEventError:
            super().append(connection, *[each for each in events if isinstance(each.body, int)])


class ReversesEvents(Base):
    @override
    def append(self, connection: Any, *events: NewEvent) -> None:
        super().append(connection, *reversed(events))


class Changes(Base):
    """Stores something other than it was given."""

    def change(self, event: StoredEvent) -> StoredEvent:
        raise NotImplementedError

    @contextmanager
    @override
    def transaction(self) -> Iterator[InMemoryTransaction]:
        with super().transaction() as transaction:
            yield transaction
            transaction.events = [self.change(event) for event in transaction.events]


class CutsMicroseconds(Changes):
    @override
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(occurred_on=event.occurred_on.replace(microsecond=0))


class LosesTheZone(Changes):
    @override
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(occurred_on=event.occurred_on.replace(tzinfo=None))


class StoresAscii(Changes):
    @override
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(body=event.body.encode("ascii", "replace").decode())


class TakesNoneForEmpty(Changes):
    @override
    def change(self, event: StoredEvent) -> StoredEvent:
        return event._replace(
            metadata=event.metadata or "{}", aggregate_id=event.aggregate_id or ""
        )


class CountsFromHere(Base):
    """Takes the event after which it is to read as the first."""

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        return super().all_stored_events_since(event_id - 1, limit)


class CountsToTheEnd(Base):
    @override
    def count_stored_events_between(self, after: int, up_to: int, most: int) -> int:
        return min(self.count_stored_events_since(after), most)


class IgnoresTheLimit(Base):
    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        return super().all_stored_events_since(event_id, 1000)


class EmptiesOnCreate(Base):
    @override
    def create(self) -> None:
        self._events.clear()


class DiesWhenClosed(Base):
    closed = False

    @override
    def close(self) -> None:
        self.closed = True

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        if self.closed:
            raise RuntimeError("this store is closed")
        return super().all_stored_events_since(event_id, limit)
