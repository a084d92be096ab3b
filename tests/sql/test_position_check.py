"""A position that is not of this event store: restored, truncated, or another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from tidings.errors import PositionMismatchError
from tidings.event import NewEvent
from tidings.interfaces import fingerprint_of
from tidings.relay.position_check import Anchor

if TYPE_CHECKING:
    from tidings.interfaces import Lease
    from tidings.sql.event_store import SqlAlchemyEventStore
    from tidings.sql.tracker import SqlAlchemyTracker as Tracker


def append(engine: Engine, store: SqlAlchemyEventStore, count: int) -> None:
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("A", number) for number in range(count)))


def lease_at(tracker: Tracker, store: SqlAlchemyEventStore, event_id: int) -> Lease:
    event = store.stored_event(event_id)
    assert event is not None
    lease = tracker.acquire_lease("shop", "a", 15)
    tracker.track_most_recent_published_message("shop", event, lease)
    return tracker.acquire_lease("shop", "a", 15)


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_the_position_of_this_store_is_fine_also_when_its_event_was_pruned(
    engine: Engine, store: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    Anchor(store, tracker.acquire_lease("shop", "a", 15)).check()
    append(engine, store, 5)
    lease = lease_at(tracker, store, 3)
    Anchor(store, lease).check()
    execute(engine, "DELETE FROM event WHERE event_id < 5")
    Anchor(store, lease).check()


def test_a_hole_at_the_position_behind_older_events_is_no_pruning(
    engine: Engine, store: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    begin = datetime(2026, 1, 2, 12, 0, 0, 6, tzinfo=UTC)
    minutes = [0, 1, 2, 3, 4, -9]
    with engine.begin() as connection:
        for each in minutes:
            store.append(connection, NewEvent("A", 1, occurred_on=begin + timedelta(minutes=each)))
    lease, backdated = lease_at(tracker, store, 5), lease_at(tracker, store, 6)
    execute(engine, "DELETE FROM event WHERE event_id IN (5, 6)")
    append(engine, store, 1)

    with pytest.raises(PositionMismatchError, match=r"had event 5, .*older ones.*replay shop"):
        Anchor(store, lease).check()
    Anchor(store, backdated).check()  # it may have been pruned by its age
    execute(engine, "DELETE FROM event WHERE event_id < 5")
    Anchor(store, lease).check()


def test_a_position_beyond_the_newest_event_is_refused(
    engine: Engine, store: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    append(engine, store, 5)
    lease = lease_at(tracker, store, 5)
    execute(engine, "DELETE FROM event WHERE event_id > 2")
    with pytest.raises(PositionMismatchError, match=r"had event 5.*ends with event 2.*replay shop"):
        Anchor(store, lease).check()
    execute(engine, "DELETE FROM event")
    with pytest.raises(PositionMismatchError, match="is empty"):
        Anchor(store, lease).check()


@pytest.mark.parametrize("year", [1, 999])
def test_a_hole_at_the_position_is_seen_behind_events_of_early_years(
    engine: Engine, store: SqlAlchemyEventStore, tracker: Tracker, year: int
) -> None:
    begin = datetime(year, 1, 1, tzinfo=UTC)
    with engine.begin() as connection:
        for days in range(3):
            store.append(connection, NewEvent("A", 1, occurred_on=begin + timedelta(days=days)))
    lease = lease_at(tracker, store, 2)
    execute(engine, "DELETE FROM event WHERE event_id = 2")

    with pytest.raises(PositionMismatchError, match=r"had event 2, .*older ones"):
        Anchor(store, lease).check()


def test_an_early_year_is_the_same_one_on_every_system() -> None:
    early = datetime(7, 1, 2, tzinfo=UTC)
    assert fingerprint_of("A", early) == "00070102T000000.000000 A"


def test_another_event_under_the_positions_id_is_refused(
    engine: Engine, store: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    append(engine, store, 5)
    lease = lease_at(tracker, store, 3)
    reset = {
        "sqlite": ["DELETE FROM event", "DELETE FROM sqlite_sequence"],
        "postgresql": ["TRUNCATE event RESTART IDENTITY"],
        "mysql": ["TRUNCATE event"],
    }
    for statement in reset[engine.dialect.name]:
        execute(engine, statement)
    append(engine, store, 5)
    assert store.stored_event(3) is not None
    with pytest.raises(PositionMismatchError, match=r"under that id.*replay shop"):
        Anchor(store, lease).check()


def test_a_replayed_position_has_no_event_to_compare(
    engine: Engine, store: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    append(engine, store, 5)
    lease_at(tracker, store, 3)
    tracker.replay("shop", 2)
    Anchor(store, tracker.acquire_lease("shop", "b", 15)).check()
