"""An outbox that the relay drains, as it would an event store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy import event as sqlalchemy_event

from tests.sql.databases import application_engine
from tidings import InMemoryTracker
from tidings.errors import ConfigurationError, LeaseLostError, UnsafeStoreError
from tidings.event import NewEvent
from tidings.relay.position_check import Anchor
from tidings.sql.outbox import (
    OutboxMessageDispatcher,
    OutboxSettings,
    drained_table,
    outbox_event_store,
    outbox_tracker,
)
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.given import DatabaseServer
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


def draining(url: str, then: str, positions: SqlAlchemyTracker | None = None) -> Iterator[Draining]:
    settings = OutboxSettings.model_validate({"url": url, "then": then})
    store = outbox_event_store(settings)
    store.create()
    tracker = outbox_tracker(settings, positions or SqlAlchemyTracker(settings))
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
    Anchor(marking.store, marking.tracker.acquire_lease("shop", "a", 15)).check()


def test_what_was_published_is_removed_but_for_the_row_at_the_position(
    removing: Draining,
) -> None:
    removing.dispatch("A", "B", "C")
    lease = removing.tracker.acquire_lease("shop", "a", 15)
    events = removing.store.all_stored_events_since(0, 10)
    removing.tracker.track_most_recent_published_message("shop", events[1], lease)
    assert (removing.waiting(), removing.rows()) == (["C"], 2)
    removing.tracker.track_most_recent_published_message("shop", events[2], lease)
    assert (removing.waiting(), removing.rows()) == ([], 1)
    Anchor(removing.store, removing.tracker.acquire_lease("shop", "a", 15)).check()
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


@pytest.mark.parametrize("then", ["mark", "remove"])
def test_events_that_another_exchange_takes_are_missed(database_url: str, then: str) -> None:
    refused = "Somebody else has dispatched event 3 of the table 'outbox'.*EXCHANGE --from 2`"
    for ours in draining(database_url, then):
        for other in draining(database_url, then):
            ours.dispatch("A")
            publish_all(ours, "ours", since=0)
            ours.store.watch()
            ours.dispatch("B", "C")
            publish_all(other, "other", since=1)

            assert ours.store.all_stored_events_since(1, 10) == []
            for look in (ours.store.watch, ours.store.check):  # a new run does not forget it
                with pytest.raises(UnsafeStoreError, match=refused):
                    look()
            ours.tracker.replay("ours", 1)
            ours.store.check()
            publish_all(ours, "ours", since=1)
            ours.store.watch()


def test_what_a_dying_relay_had_marked_is_not_taken_for_somebody_elses(tmp_path: Path) -> None:
    positions = SqlAlchemySettings.model_validate({"url": f"sqlite:///{tmp_path}/positions.db"})
    apart = SqlAlchemyTracker(positions)
    apart.create()
    for outbox in draining(f"sqlite:///{tmp_path}/outbox.db", "mark", apart):
        outbox.dispatch("A", "B")
        publish_all(outbox, "shop", since=0)
        apart.replay("shop", 1)  # as if the position had not been noted
        for _ in range(2):
            outbox.store.check()
            assert outbox.store.all_stored_events_since(1, 10) == []
            outbox.store.watch()


def publish_all(outbox: Draining, exchange: str, since: int) -> None:
    lease = outbox.tracker.acquire_lease(exchange, "me", 15)
    events = outbox.store.all_stored_events_since(since, 10)
    outbox.tracker.track_most_recent_published_message(exchange, events[-1], lease)
    assert outbox.store.all_stored_events_since(events[-1].event_id, 10) == []


def test_a_replay_gives_again_what_was_marked(marking: Draining) -> None:
    marking.dispatch("A", "B", "C")
    lease = marking.tracker.acquire_lease("shop", "a", 15)
    events = marking.store.all_stored_events_since(0, 10)
    marking.tracker.track_most_recent_published_message("shop", events[2], lease)
    marking.tracker.replay("shop", events[0].event_id)
    position = marking.tracker.acquire_lease("shop", "a", 15).position
    assert position.event_id == events[0].event_id
    assert marking.waiting() == ["B", "C"]


def test_a_replay_while_the_relay_marks_gives_everything_again(marking: Draining) -> None:
    marking.dispatch("A", "B", "C")
    expect_replay_beside_marking(marking)


def test_a_replay_while_the_relay_marks_in_another_database_gives_everything_again(
    tmp_path: Path,
) -> None:
    positions = SqlAlchemySettings.model_validate({"url": f"sqlite:///{tmp_path}/positions.db"})
    apart = SqlAlchemyTracker(positions)
    apart.create()
    for draining_ in draining(f"sqlite:///{tmp_path}/outbox.db", "mark", apart):
        draining_.dispatch("A", "B", "C")
        expect_replay_beside_marking(draining_)


def expect_replay_beside_marking(outbox: Draining) -> None:
    """Replay just before the relay marks what it has tracked; all of it must come again."""
    events = outbox.store.all_stored_events_since(0, 10)
    lease = outbox.tracker.acquire_lease("shop", "a", 15)
    about_to_mark, go_on = Event(), Event()

    def pause(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE outbox SET dispatched_on") and not go_on.is_set():
            about_to_mark.set()
            assert go_on.wait(30)

    sqlalchemy_event.listen(Engine, "before_cursor_execute", pause)
    try:
        with ThreadPoolExecutor() as pool:
            tracked = pool.submit(
                outbox.tracker.track_most_recent_published_message, "shop", events[2], lease
            )
            assert about_to_mark.wait(30)
            replayed = pool.submit(outbox.tracker.replay, "shop", 0)
            with suppress(TimeoutError):
                replayed.result(1)  # it ends before the marks, or waits for them
            go_on.set()
            tracked.result(30)
            replayed.result(30)
    finally:
        sqlalchemy_event.remove(Engine, "before_cursor_execute", pause)

    assert outbox.tracker.most_recent_published_message_id("shop") is None
    assert outbox.waiting() == ["A", "B", "C"]


def test_nobody_goes_on_from_a_replay_before_its_events_are_shown(marking: Draining) -> None:
    marking.dispatch("A", "B", "C")
    events = marking.store.all_stored_events_since(0, 10)
    lease = marking.tracker.acquire_lease("shop", "a", 15)
    marking.tracker.track_most_recent_published_message("shop", events[2], lease)
    seen: list[int | None] = []

    def look(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE outbox SET dispatched_on"):
            seen.append(marking.tracker.most_recent_published_message_id("shop"))

    sqlalchemy_event.listen(Engine, "before_cursor_execute", look)
    try:
        marking.tracker.replay("shop", 0)
    finally:
        sqlalchemy_event.remove(Engine, "before_cursor_execute", look)

    assert seen == [events[2].event_id]  # the rows first, and then the position for others to see


def test_an_outbox_needs_positions_whose_rows_can_be_locked(tmp_path: Path) -> None:
    settings = OutboxSettings.model_validate({"url": f"sqlite:///{tmp_path}/outbox.db"})

    with pytest.raises(ConfigurationError, match=r"give \[tracker\] the backend \"sqlalchemy\""):
        outbox_tracker(settings, InMemoryTracker())


def test_an_outbox_refuses_a_tracker_whose_own_ways_it_would_leave_out(tmp_path: Path) -> None:
    class Changed(SqlAlchemyTracker):
        pass

    settings = OutboxSettings.model_validate({"url": f"sqlite:///{tmp_path}/outbox.db"})

    with pytest.raises(ConfigurationError, match="backend"):
        outbox_tracker(settings, Changed(settings))


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


@pytest.mark.parametrize("then", ["mark", "remove"])
def test_what_waits_under_a_low_id_is_neither_marked_nor_removed(
    postgresql: DatabaseServer, then: str
) -> None:
    for outbox in draining(postgresql.new_database(), then):
        outbox.dispatch(*"abcdef")
        lease = outbox.tracker.acquire_lease("x", "me", 60)
        first, second, third, *_, last = outbox.store.all_stored_events_since(0, 6)
        outbox.tracker.track_most_recent_published_message("x", second, lease)
        with outbox.engine.begin() as connection:
            connection.execute(text("DELETE FROM outbox WHERE event_id <= 2"))
            connection.execute(text("SELECT setval('outbox_event_id_seq', 1, false)"))
        outbox.dispatch("low")
        outbox.tracker.track_most_recent_published_message("x", third, lease)
        outbox.tracker.release_lease(lease)
        lease = outbox.tracker.acquire_lease("x", "you", 60)
        outbox.tracker.track_most_recent_published_message("x", last, lease)

        assert outbox.waiting() == ["low"]
        with pytest.raises(UnsafeStoreError, match="committed under such ids meanwhile: 1"):
            outbox.store.check()
        assert outbox.store.renumber() == [first.event_id]
        assert [event.event_id for event in outbox.store.all_stored_events_since(0, 9)] == [7]


@pytest.mark.parametrize("then", ["mark", "remove"])
def test_what_got_a_low_id_unseen_goes_out_after_a_replay_from_there(
    postgresql: DatabaseServer, then: str
) -> None:
    def publish_all(owner: str, since: int) -> list[str]:
        lease = outbox.tracker.acquire_lease("x", owner, 60)
        events = outbox.store.all_stored_events_since(since, 100)
        outbox.tracker.track_most_recent_published_message("x", events[-1], lease)
        outbox.tracker.release_lease(lease)
        return [event.type_name for event in events]

    for outbox in draining(postgresql.new_database(), then):
        outbox.dispatch(*"abcdef")
        publish_all("one", 0)
        with outbox.engine.begin() as connection:  # "remove" has deleted them already
            connection.execute(text("DELETE FROM outbox WHERE event_id < 6"))
            connection.execute(text("SELECT setval('outbox_event_id_seq', 3)"))
        outbox.dispatch("low", "lower")
        with outbox.engine.connect() as connection:
            connection.execute(text("SELECT setval('outbox_event_id_seq', 6)"))
            connection.commit()
        outbox.dispatch("above")
        assert publish_all("two", 6) == ["above"]
        assert outbox.waiting() == ["low", "lower"]

        outbox.tracker.replay("x", 3)
        assert publish_all("three", 3)[:2] == ["low", "lower"]
        assert outbox.waiting() == []


@pytest.mark.parametrize("then", ["mark", "remove"])
def test_what_waits_below_the_position_is_named_once_when_a_relay_begins(
    postgresql: DatabaseServer, then: str, caplog: pytest.LogCaptureFixture
) -> None:
    for outbox in draining(postgresql.new_database(), then):
        outbox.dispatch(*"abcdef")
        publish_all(outbox, "x", since=0)
        with outbox.engine.begin() as connection:  # "remove" has deleted them already
            connection.execute(text("DELETE FROM outbox WHERE event_id < 6"))
            connection.execute(text("SELECT setval('outbox_event_id_seq', 3)"))
        outbox.dispatch("low", "lower")
        with outbox.engine.begin() as connection:
            connection.execute(text("SELECT setval('outbox_event_id_seq', 6)"))
        assert caplog.messages == []

        for _ in range(2):
            outbox.tracker.acquire_lease("x", "me", 15)
        (warning,) = caplog.messages
        assert "x has passed event 6" in warning
        assert "in the table 'outbox': 4, 5. " in warning
        assert "`tidings replay x --from 4`" in warning
        caplog.clear()
        outbox.tracker.replay("x", 3)
        publish_all(outbox, "x", since=3)
        assert outbox.waiting() == []
        outbox.tracker.acquire_lease("x", "me", 15)
        assert caplog.messages == []


def test_what_has_just_gone_into_quarantine_is_not_said_to_wait(
    marking: Draining, caplog: pytest.LogCaptureFixture
) -> None:
    marking.dispatch("A", "B", "C")
    lease = marking.tracker.acquire_lease("shop", "me", 15)
    first, second, _ = marking.store.all_stored_events_since(0, 10)
    marking.tracker.quarantine("shop", first, "too large", lease)
    marking.tracker.quarantine("shop", second, "too large", lease)

    marking.tracker.acquire_lease("shop", "me", 15)

    assert marking.waiting() == ["A", "B", "C"]
    assert caplog.messages == []


def test_an_outbox_whose_ids_come_in_caches_is_refused(on_postgresql: Draining) -> None:
    with on_postgresql.engine.begin() as connection:
        connection.execute(text("ALTER SEQUENCE outbox_event_id_seq CACHE 5"))
    with pytest.raises(UnsafeStoreError, match="outbox_event_id_seq hands out 5 ids"):
        on_postgresql.store.check()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://a@localhost/shop", "postgresql+asyncpg://b@127.0.0.1:5432/shop?ssl=true"),
        ("mysql://a@DB/shop", "mariadb+aiomysql://b@db:3306/shop"),
        ("postgresql://a@h1,h2/shop", "postgresql://b@h1,h2/shop"),
    ],
)
def test_an_outbox_is_known_again_under_another_url(one: str, other: str) -> None:
    tables = [drained_table(OutboxSettings(url=SecretStr(url))) for url in (one, other)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("other", ["postgresql://h1:5433/shop", "postgresql://h2/shop"])
def test_outboxes_of_two_servers_are_two(other: str) -> None:
    url = SecretStr("postgresql://h1/shop")
    assert drained_table(OutboxSettings(url=url)) != drained_table(
        OutboxSettings(url=SecretStr(other))
    )
