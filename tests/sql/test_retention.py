"""Pruning: only what every exchange has had, and never the newest event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.sql.test_replaced_store import EMPTY
from tidings.errors import PositionMismatchError
from tidings.event import NewEvent
from tidings.relay.retention import Pruned, prune
from tidings.sql import retention

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tidings.sql.event_store import SqlAlchemyEventStore
    from tidings.sql.tracker import SqlAlchemyTracker as Tracker

NOW = datetime.now(UTC)
COUNT = 25


@pytest.fixture
def filled(engine: Engine, store: SqlAlchemyEventStore) -> SqlAlchemyEventStore:
    """Give a store of 25 events, the n-th of which occurred 25 - n days ago."""
    with engine.begin() as connection:
        store.append(
            connection,
            *(NewEvent("A", n, NOW - timedelta(days=COUNT - n)) for n in range(1, COUNT + 1)),
        )
    return store


def ids(store: SqlAlchemyEventStore) -> list[int]:
    return [event.event_id for event in store.all_stored_events_since(0, 100)]


def publish(store: SqlAlchemyEventStore, tracker: Tracker, exchange: str, up_to: int) -> None:
    event = store.stored_event(up_to)
    assert event is not None
    lease = tracker.acquire_lease(exchange, "a", 15)
    tracker.track_most_recent_published_message(exchange, event, lease)


def test_what_is_old_and_was_published_goes(
    filled: SqlAlchemyEventStore, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 4)
    publish(filled, tracker, "shop", 25)
    result = prune(filled, tracker, ["shop"], older_than=timedelta(days=10, hours=12))
    assert result == Pruned(events=14, awaited_by=None, exchanges=("shop",))
    assert ids(filled) == list(range(15, 26))


def test_all_but_the_newest_go(
    filled: SqlAlchemyEventStore, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 5)
    publish(filled, tracker, "shop", 25)
    assert prune(filled, tracker, ["shop"], keep=7) == Pruned(18, None, ("shop",))
    assert ids(filled) == list(range(19, 26))
    assert prune(filled, tracker, ["shop"], keep=7) == Pruned(0, None, ("shop",))


@pytest.mark.parametrize("keep", range(1, 9))
def test_what_stays_is_counted_in_steps_whatever_the_gaps(
    engine: Engine,
    filled: SqlAlchemyEventStore,
    tracker: Tracker,
    monkeypatch: pytest.MonkeyPatch,
    keep: int,
) -> None:
    monkeypatch.setattr(retention, "COUNT_AT_ONCE", 3)
    there = [2, 3, 7, 8, 15, 24, 25]
    with engine.begin() as connection:
        gaps = ", ".join(map(str, there))
        connection.execute(text(f"DELETE FROM event WHERE event_id NOT IN ({gaps})"))
    publish(filled, tracker, "shop", 25)
    gone = max(len(there) - keep, 0)
    assert prune(filled, tracker, ["shop"], keep=keep, dry_run=True) == Pruned(
        gone, None, ("shop",)
    )
    prune(filled, tracker, ["shop"], keep=keep)

    assert ids(filled) == there[-keep:]


@pytest.mark.parametrize("keep", [0, 1])
def test_the_newest_event_never_goes(
    filled: SqlAlchemyEventStore, tracker: Tracker, keep: int
) -> None:
    publish(filled, tracker, "shop", 25)
    assert prune(filled, tracker, ["shop"], keep=keep) == Pruned(24, None, ("shop",))
    assert ids(filled) == [25]
    assert prune(filled, tracker, ["shop"], older_than=timedelta(0)) == Pruned(0, None, ("shop",))


def test_what_one_exchange_has_not_had_stays_and_that_exchange_is_named(
    filled: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    publish(filled, tracker, "shop", 25)
    publish(filled, tracker, "slow", 5)
    assert prune(filled, tracker, ["shop"], keep=1) == Pruned(5, "slow", ("shop", "slow"))
    assert ids(filled) == list(range(6, 26))


def test_an_exchange_that_has_no_position_yet_keeps_everything(
    filled: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    publish(filled, tracker, "shop", 25)
    assert prune(filled, tracker, ["shop", "new"], keep=1) == Pruned(0, "new", ("new", "shop"))
    assert len(ids(filled)) == COUNT


def test_of_an_exchange_whose_position_was_deleted_what_is_in_quarantine_stays_and_no_more(
    engine: Engine, filled: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    publish(filled, tracker, "shop", 25)
    publish(filled, tracker, "gone", 6)
    seventh = filled.stored_event(7)
    assert seventh is not None
    tracker.quarantine("gone", seventh, "too large", tracker.acquire_lease("gone", "a", 15))
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM event_published_message_tracker WHERE type_name = 'gone'")
        )

    assert prune(filled, tracker, ["shop"], keep=1) == Pruned(6, "gone", ("gone", "shop"))
    tracker.drop_quarantined("gone", 7)
    assert prune(filled, tracker, ["shop"], keep=1) == Pruned(18, None, ("shop",))


def test_without_any_exchange_nothing_was_published_and_nothing_goes(
    filled: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    assert prune(filled, tracker, [], keep=1) == Pruned(0, None, ())
    assert len(ids(filled)) == COUNT


def test_a_dry_run_counts_what_would_go(filled: SqlAlchemyEventStore, tracker: Tracker) -> None:
    publish(filled, tracker, "shop", 20)
    result = prune(filled, tracker, ["shop"], keep=1, dry_run=True)
    assert result == Pruned(20, "shop", ("shop",))
    assert len(ids(filled)) == COUNT


def test_an_event_that_is_backdated_goes_and_its_younger_neighbours_stay(
    engine: Engine, store: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    ages = [1, 50, 1, 50, 1]
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("A", {}, NOW - timedelta(days=d)) for d in ages))
    publish(store, tracker, "shop", 5)
    assert prune(store, tracker, ["shop"], older_than=timedelta(days=10)) == Pruned(
        2, None, ("shop",)
    )
    assert ids(store) == [1, 3, 5]


def test_a_relay_goes_on_from_a_position_whose_event_was_pruned(
    filled: SqlAlchemyEventStore, engine: Engine, tracker: Tracker
) -> None:
    publish(filled, tracker, "shop", 20)
    prune(filled, tracker, ["shop"], keep=1)
    position = tracker.most_recent_published_message_id("shop")
    assert position is not None
    since = [event.event_id for event in filled.all_stored_events_since(position, 100)]
    assert since == [21, 22, 23, 24, 25]
    assert ids(filled) == since


def test_nothing_goes_where_a_position_is_of_another_store(
    filled: SqlAlchemyEventStore, engine: Engine, tracker: Tracker
) -> None:
    publish(filled, tracker, "shop", 20)
    with engine.begin() as connection:
        for statement in EMPTY[engine.dialect.name]:
            connection.execute(text(statement))
        filled.append(connection, *(NewEvent("New", n) for n in range(COUNT)))

    with pytest.raises(PositionMismatchError, match="'shop' has had event 20, which was 'A of"):
        prune(filled, tracker, ["shop"], keep=1)
    with pytest.raises(PositionMismatchError):
        prune(filled, tracker, ["shop"], older_than=timedelta(0), dry_run=True)

    assert ids(filled) == list(range(1, COUNT + 1))
    assert prune(filled, tracker, [], keep=1, elsewhere=["shop"]) == Pruned(0, None, ())


def test_what_a_replay_has_passed_goes(filled: SqlAlchemyEventStore, tracker: Tracker) -> None:
    tracker.replay("shop", 100)
    assert prune(filled, tracker, ["shop"], keep=1) == Pruned(COUNT - 1, None, ("shop",))


@pytest.mark.parametrize("arguments", [{}, {"keep": 1, "older_than": timedelta(1)}, {"keep": -1}])
def test_what_to_keep_must_be_said_in_one_way(
    store: SqlAlchemyEventStore, tracker: Tracker, arguments: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="keep"):
        prune(store, tracker, [], **arguments)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("age", [timedelta(days=365 * 1500), timedelta.max])
def test_nothing_is_older_than_all_of_history(
    filled: SqlAlchemyEventStore, tracker: Tracker, age: timedelta
) -> None:
    publish(filled, tracker, "shop", 25)

    assert prune(filled, tracker, ["shop"], older_than=age) == Pruned(0, None, ("shop",))
    assert len(ids(filled)) == COUNT


def test_the_oldest_event_is_the_one_that_is_left(
    filled: SqlAlchemyEventStore, tracker: Tracker
) -> None:
    assert filled.oldest_event_id() == 1
    publish(filled, tracker, "shop", 25)
    prune(filled, tracker, ["shop"], keep=7)

    assert filled.oldest_event_id() == 19
