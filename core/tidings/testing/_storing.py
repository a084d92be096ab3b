"""Appends to an event store and reads it, for its suite."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NoReturn

from tidings.event import NewEvent, StoredEvent
from tidings.testing._judging import broken, check
from tidings.testing._kit import short
from tidings.testing.promises import Store
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import EventStore


def append(store: EventStore, *events: NewEvent) -> None:
    """Append in a transaction of its own, and commit."""
    with store.transaction() as transaction:
        store.append(transaction, *events)


class RollBackError(Exception):
    """Ends a transaction without a commit."""


def roll_back(store: EventStore, *events: NewEvent) -> None:
    """Append in a transaction of its own, and roll back."""
    try:
        with store.transaction() as transaction:
            store.append(transaction, *events)
            _raise(RollBackError())
    except RollBackError:
        return
    broken(Store.TRANSACTION, "transaction() swallowed the exception that was raised inside it.")


def _raise(error: Exception) -> NoReturn:
    raise error


def numbered(number: int) -> NewEvent:
    """Return an event that can be told from others."""
    return NewEvent("Numbered", number)


def number_of(event: StoredEvent) -> int:
    """Return the number of a numbered event."""
    return int(event.body)


def read_all(store: EventStore, limit: int = 7, seconds: float = 20.0) -> list[StoredEvent]:
    """Read from the first event on, as a relay would, until nothing is held and no more comes."""
    events: list[StoredEvent] = []

    def done() -> bool:
        position = events[-1].event_id if events else 0
        found = store.all_stored_events_since(position, limit)
        ids = [event.event_id for event in found]
        check(
            all(each > position for each in ids),
            Store.SINCE,
            f"all_stored_events_since({position}, {limit}) gave the ids {ids}.",
        )
        events.extend(found)
        return not found and store.hold() is None

    check(
        until(done, seconds),
        Store.HELD,
        f"No transaction is open, and after {seconds:.0f} s hold() is still {store.hold()}.",
    )
    return events


def expect_numbers(wanted: Sequence[int], events: Sequence[StoredEvent], promise: str) -> None:
    """Fail unless exactly these numbered events were read, in this order."""
    numbers = [number_of(event) for event in events]
    check(numbers == list(wanted), promise, f"Read were {numbers}; stored were {list(wanted)}.")
    expect_ascending(events)


def expect_ascending(events: Sequence[StoredEvent]) -> None:
    """Fail unless ids ascend."""
    ids = [event.event_id for event in events]
    check(ids == sorted(set(ids)), Store.ASCENDING, f"The ids read are {ids}.")


def expect_same(event: NewEvent, stored: StoredEvent) -> None:
    """Fail unless ``stored`` is what was made of ``event``."""
    check(isinstance(stored, StoredEvent), Store.SINCE, f"A {type(stored).__name__} was read.")
    pairs = {
        "type_name": (event.type_name, stored.type_name),
        "body": (event.body_text(), stored.body),
        "aggregate_id": (event.aggregate_id, stored.aggregate_id),
        "metadata": (event.metadata_text(), stored.metadata),
    }
    for name, (wanted, found) in pairs.items():
        check(
            wanted == found,
            Store.EVENT,
            f"The {name} was stored as {short(wanted)} and read as {short(found)}.",
        )
    zone = stored.occurred_on.utcoffset()
    check(
        zone == timedelta(0) and stored.occurred_on == event.occurred_on,
        Store.TIME,
        f"occurred_on was stored as {event.occurred_on.astimezone(UTC).isoformat()} and read as "
        f"{stored.occurred_on.isoformat()}.",
    )
