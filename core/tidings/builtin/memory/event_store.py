"""Domain events in a list, with transactions that really roll back."""

from __future__ import annotations

import bisect
import threading
import time
import uuid
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tidings.event import NewEvent, StoredEvent
from tidings.interfaces import Capability, EventStore, Hold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

BATCH_BYTES = 16 * 1024 * 1024


class InMemoryTransaction:
    """What :meth:`InMemoryEventStore.transaction` gives: events that nobody else sees yet."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begun = time.monotonic()
        self.events: list[StoredEvent] = []
        self.over = False

    @override
    def __repr__(self) -> str:
        return f"<transaction {self.number}: {len(self.events)} event(s)>"


class InMemoryEventStore(EventStore):
    """Keeps events in memory, and behaves as a database with concurrent writers does.

    An id is drawn when the event is appended and seen when its transaction commits. So 11 may be
    committed before 10. Then the reader holds at 10, and :meth:`hold` tells which transaction it
    waits for. A rolled-back id leaves a hole. ``identity`` is that of another one, if this is to
    be its copy.

    **Threads.** Every method may be called from any thread.
    """

    capabilities = frozenset({Capability.PRUNE})

    def __init__(self, identity: str | None = None) -> None:
        self._identity = uuid.uuid4().hex if identity is None else identity
        self._lock = threading.Lock()
        self._events: list[StoredEvent] = []
        self._open: list[InMemoryTransaction] = []
        self._newest_drawn = 0
        self._transactions_begun = 0
        self._hold: Hold | None = None

    @override
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
    @override
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

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        with self._lock:
            start = bisect.bisect_right(self._events, event_id, key=_id)
            found = bounded(self._events[start : start + limit])
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

    @override
    def stored_event(self, event_id: int) -> StoredEvent | None:
        with self._lock:
            place = bisect.bisect_left(self._events, event_id, key=_id)
            if place < len(self._events) and self._events[place].event_id == event_id:
                return self._events[place]
            return None

    @override
    def newest_event_id(self) -> int | None:
        with self._lock:
            return self._events[-1].event_id if self._events else None

    @override
    def count_stored_events_since(self, event_id: int) -> int:
        with self._lock:
            return len(self._events) - bisect.bisect_right(self._events, event_id, key=_id)

    @override
    def hold(self) -> Hold | None:
        with self._lock:
            return self._hold

    @override
    def prune(
        self,
        up_to: int,
        *,
        keep: int = 1,
        occurred_before: datetime | None = None,
        dry_run: bool = False,
    ) -> int:
        with self._lock:
            gone = {
                event.event_id
                for event in self._events[: -max(keep, 1)]
                if event.event_id <= up_to
                and (occurred_before is None or event.occurred_on < occurred_before)
            }
            if not dry_run:
                self._events = [event for event in self._events if event.event_id not in gone]
            return len(gone)

    @override
    def identity(self) -> str:
        return self._identity

    @override
    def create(self) -> None:
        """Nothing needs to be created."""

    @override
    def check(self) -> None:
        """Nothing can be wrong."""

    @override
    def close(self) -> None:
        """Nothing is kept open; the events stay."""


def bounded(events: list[StoredEvent]) -> list[StoredEvent]:
    """Return as many as may be given at once: one at least."""
    size = 0
    for place, event in enumerate(events):
        size += len(event.body.encode()) + len((event.metadata or "").encode())
        if place and size > BATCH_BYTES:
            return events[:place]
    return events


def _id(event: StoredEvent) -> int:
    return event.event_id
