"""An outbox that the relay drains, as it would an event store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from tests.sql.databases import application_engine
from tidings.errors import LeaseLostError, UnsafeStoreError
from tidings.event import NewEvent
from tidings.relay.position_check import check_position
from tidings.sql.outbox import (
    OutboxMessageDispatcher,
    OutboxSettings,
    outbox_event_store,
    outbox_tracker,
)
from tidings.sql.tracker import SqlAlchemyPublishedMessageTracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.interfaces import PublishedMessageTracker
    from tidings.sql.event_store import SqlAlchemyEventStore


@dataclass
class Draining:
    """What the relay and the application have of one outbox."""

    store: SqlAlchemyEventStore
    tracker: PublishedMessageTracker
    engine: Engine

    def dispatch(self, *names: str) -> None:
        with self.engine.begin() as connection:
            OutboxMessageDispatcher(connection).dispatch(*(NewEvent(name, {}) for name in names))

    def waiting(self) -> list[str]:
        return [event.type_name for event in self.store.all_stored_events_since(0, 100)]

    def rows(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM outbox")).scalar_one())


def draining(url: str, then: str) -> Iterator[Draining]:
    settings = OutboxSettings.model_validate({"url": url, "then": then})
    store = outbox_event_store(settings)
    store.create()
    tracker = outbox_tracker(settings, SqlAlchemyPublishedMessageTracker(settings))
    engine = application_engine(url)
    yield Draining(store, tracker, engine)
    store.close()
    tracker.close()
    engine.dispose()


@pytest.fixture
def marking(database_url: str) -> Iterator[Draining]:
    yield from draining(database_url, "mark")


@pytest.fixture
def removing(database_url: str) -> Iterator[Draining]:
    yield from draining(database_url, "remove")


@pytest.fixture
def on_postgresql(request: pytest.FixtureRequest) -> Iterator[Draining]:
    yield from draining(request.getfixturevalue("postgresql").new_database(), "mark")


def test_what_was_published_is_marked_and_given_no_more(marking: Draining) -> None:
    marking.dispatch("A", "B", "C")
    lease = marking.tracker.acquire_lease("shop", "a", 15)
    first, second, _third = marking.store.all_stored_events_since(0, 10)
    marking.tracker.track_most_recent_published_message("shop", second, lease)
    assert marking.waiting() == ["C"]
    assert marking.rows() == 3
    assert marking.store.count_stored_events_since(0) == 1
    assert marking.store.stored_event(first.event_id) == first
    check_position(marking.store, marking.tracker.acquire_lease("shop", "a", 15))


def test_what_was_published_is_removed_but_for_the_newest(removing: Draining) -> None:
    removing.dispatch("A", "B", "C")
    lease = removing.tracker.acquire_lease("shop", "a", 15)
    events = removing.store.all_stored_events_since(0, 10)
    removing.tracker.track_most_recent_published_message("shop", events[1], lease)
    assert (removing.waiting(), removing.rows()) == (["C"], 1)
    removing.tracker.track_most_recent_published_message("shop", events[2], lease)
    assert (removing.waiting(), removing.rows()) == ([], 1)
    check_position(removing.store, removing.tracker.acquire_lease("shop", "a", 15))
    removing.dispatch("D")
    assert removing.waiting() == ["D"]


def test_a_relay_that_lost_its_lease_marks_nothing(marking: Draining) -> None:
    marking.dispatch("A")
    (event,) = marking.store.all_stored_events_since(0, 10)
    old = marking.tracker.acquire_lease("shop", "a", 15)
    marking.tracker.acquire_lease("shop", "b", 15, in_place_of=old.epoch)
    with pytest.raises(LeaseLostError):
        marking.tracker.track_most_recent_published_message("shop", event, old)
    assert marking.waiting() == ["A"]


def test_a_replay_gives_again_what_was_marked(marking: Draining) -> None:
    marking.dispatch("A", "B", "C")
    lease = marking.tracker.acquire_lease("shop", "a", 15)
    events = marking.store.all_stored_events_since(0, 10)
    marking.tracker.track_most_recent_published_message("shop", events[2], lease)
    marking.tracker.replay("shop", events[0].event_id)
    position = marking.tracker.acquire_lease("shop", "a", 15).position
    assert position.event_id == events[0].event_id
    assert marking.waiting() == ["B", "C"]


def test_the_order_of_commits_is_kept_in_an_outbox_too(on_postgresql: Draining) -> None:
    with on_postgresql.engine.connect() as slow:
        OutboxMessageDispatcher(slow).dispatch(NewEvent("Slow", {}))
        on_postgresql.dispatch("Quick")
        assert on_postgresql.waiting() == []
        hold = on_postgresql.store.hold()
        assert hold is not None
        assert hold.missing_id == 1
        slow.commit()
    assert on_postgresql.waiting() == ["Slow", "Quick"]


def test_an_outbox_whose_ids_come_in_caches_is_refused(on_postgresql: Draining) -> None:
    with on_postgresql.engine.begin() as connection:
        connection.execute(text("ALTER SEQUENCE outbox_event_id_seq CACHE 5"))
    with pytest.raises(UnsafeStoreError, match="outbox_event_id_seq hands out 5 ids"):
        on_postgresql.store.check()
