"""Domain events in a list, with transactions that really roll back."""

from __future__ import annotations

import bisect
import threading
import time
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

from tidings.event import NewEvent, StoredEvent
from tidings.interfaces import EventStore, Hold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class InMemoryTransaction:
    """What :meth:`InMemoryEventStore.transaction` gives: events that nobody else sees yet."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begun = time.monotonic()
        self.events: list[StoredEvent] = []
        self.over = False

    def __repr__(self) -> str:
        return f"<transaction {self.number}: {len(self.events)} event(s)>"


class InMemoryEventStore(EventStore):
    """Keeps events in memory, and behaves as a database with concurrent writers does.

    An id is drawn when the event is appended and seen when its transaction commits, so that 11 may
    be committed before 10; the reader then holds at 10, and :meth:`hold` tells which transaction
    it waits for. A rolled-back id leaves a hole.

    **Threads.** Every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[StoredEvent] = []
        self._open: list[InMemoryTransaction] = []
        self._newest_drawn = 0
        self._transactions_begun = 0
        self._hold: Hold | None = None

    def append(self, connection: Any, *events: NewEvent) -> None:
        """Append to the transaction ``connection``, which :meth:`transaction` gave."""
        if not isinstance(connection, InMemoryTransaction):
            raise TypeError(
                "The in-memory event store appends only in its own transactions: "
                "`with store.transaction() as transaction: store.append(transaction, event)`, "
                f"not with a {type(connection).__name__}."
            )
        texts = [(event.body_text(), event.metadata_text()) for event in events]
        with self._lock:
            if connection.over:
                raise RuntimeError("This transaction has ended; begin another one.")
            for event, (body, metadata) in zip(events, texts, strict=True):
                self._newest_drawn += 1
                connection.events.append(
                    StoredEvent(
                        self._newest_drawn,
                        event.type_name,
                        body,
                        event.occurred_on.astimezone(UTC),
                        event.aggregate_id,
                        metadata,
                    )
                )

    @contextmanager
    def transaction(self) -> Iterator[InMemoryTransaction]:
        """Begin a transaction; any number may be open at once."""
        with self._lock:
            self._transactions_begun += 1
            transaction = InMemoryTransaction(self._transactions_begun)
            self._open.append(transaction)
        try:
            yield transaction
        except BaseException:
            self._end(transaction, commit=False)
            raise
        self._end(transaction, commit=True)

    def _end(self, transaction: InMemoryTransaction, *, commit: bool) -> None:
        with self._lock:
            transaction.over = True
            self._open.remove(transaction)
            if commit:
                for event in transaction.events:
                    bisect.insort(self._events, event, key=_id)

    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """Return what is committed, up to the first id that may still appear."""
        with self._lock:
            start = bisect.bisect_right(self._events, event_id, key=_id)
            found = self._events[start : start + limit]
            self._hold = None
            waiting = [
                one for one in self._open if one.events and one.events[-1].event_id > event_id
            ]
            if not waiting or not found:
                return found
            pending = {
                event.event_id: transaction
                for transaction in waiting
                for event in transaction.events
                if event.event_id > event_id
            }
            missing_id = min(pending)
            if missing_id > found[-1].event_id:
                return found
            holder = pending[missing_id]
            self._hold = Hold(
                missing_id, f"transaction {holder.number}", time.monotonic() - holder.begun
            )
            return found[: bisect.bisect_left(found, missing_id, key=_id)]

    def stored_event(self, event_id: int) -> StoredEvent | None:
        """Return the committed event of that id, or ``None``."""
        with self._lock:
            place = bisect.bisect_left(self._events, event_id, key=_id)
            if place < len(self._events) and self._events[place].event_id == event_id:
                return self._events[place]
            return None

    def newest_event_id(self) -> int | None:
        """Return the greatest committed id, or ``None``."""
        with self._lock:
            return self._events[-1].event_id if self._events else None

    def count_stored_events_since(self, event_id: int) -> int:
        """Return how many committed events have a greater id."""
        with self._lock:
            return len(self._events) - bisect.bisect_right(self._events, event_id, key=_id)

    def hold(self) -> Hold | None:
        """Return what held the last read, or ``None``."""
        with self._lock:
            return self._hold

    def create(self) -> None:
        """Nothing needs to be created."""

    def check(self) -> None:
        """Nothing can be wrong."""

    def close(self) -> None:
        """Nothing is held open; the events stay."""


def _id(event: StoredEvent) -> int:
    return event.event_id
