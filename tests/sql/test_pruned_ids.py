"""PostgreSQL: a sequence that is set back gives the ids of pruned events out again, unobserved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.relay.parts import Parts
from tests.sql.databases import url_of
from tests.sql.test_replaced_store import X, append, execute
from tidings import NotificationService, prune
from tidings.errors import EventStoreError, UnsafeStoreError
from tidings.relay.owner import Owner
from tidings.relay.run import running
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker as Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tidings import Route

SET_BACK = "SELECT setval('event_event_id_seq', 10)"


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def route(parts: Parts, postgresql_store: SqlAlchemyEventStore) -> Iterator[Route]:
    """Give an exchange that has had fifty events."""
    url = SecretStr(url_of(postgresql_store))
    tracker = Tracker(SqlAlchemySettings(url=url))
    append(postgresql_store, 50)
    route = parts.route(event_store=postgresql_store, tracker=tracker)
    NotificationService(route).publish_notifications(X)
    yield route
    tracker.close()


@pytest.fixture
def pruned(route: Route, postgresql_store: SqlAlchemyEventStore) -> SqlAlchemyEventStore:
    """Give its store, of which the newest event alone is left."""
    assert prune(postgresql_store, route.tracker, [X], keep=1).events == 49
    return postgresql_store


def run_past(store: SqlAlchemyEventStore, engine: Engine) -> None:
    """Set the sequence back while no relay looks, and record until the ids are above again."""
    execute(engine, SET_BACK)
    append(store, 39)
    with pytest.raises(EventStoreError, match="duplicate key"):
        append(store, 1)
    append(store, 1)


def test_events_under_ids_that_were_pruned_are_named_and_get_new_ones(
    pruned: SqlAlchemyEventStore, postgresql_engine: Engine, parts: Parts, route: Route
) -> None:
    run_past(pruned, postgresql_engine)

    named = r"39 event\(s\) .* 49 that were pruned.*: 11, 12, .*, 30, …\. Run `tidings renumber`"
    with pytest.raises(UnsafeStoreError, match=named):
        pruned.check()
    with pytest.raises(UnsafeStoreError, match=named):
        NotificationService(route).publish_notifications(X)
    assert pruned.renumber() == list(range(11, 50))
    pruned.check()
    NotificationService(route).publish_notifications(X)

    assert parts.ids() == list(range(1, 91))
    bodies = [event.body for event in pruned.all_stored_events_since(51, 100)]
    assert bodies == [str(number) for number in range(39)]
    assert pruned.renumber() == []


def test_an_idle_relay_notices(
    pruned: SqlAlchemyEventStore,
    postgresql_engine: Engine,
    route: Route,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidings.relay.position_check.LOOK_AGAIN", 0.0)
    with running(route, Owner()) as relay:
        relay.step()
        run_past(pruned, postgresql_engine)
        with pytest.raises(UnsafeStoreError, match="that were pruned"):
            relay.idle(0)


def test_they_are_not_pruned_unsent(
    pruned: SqlAlchemyEventStore, postgresql_engine: Engine, route: Route
) -> None:
    run_past(pruned, postgresql_engine)
    with pytest.raises(UnsafeStoreError, match="that were pruned"):
        prune(pruned, route.tracker, [X], keep=1)
    assert pruned.oldest_event_id() == 11


def test_while_the_sequence_is_low_still_both_are_named(
    pruned: SqlAlchemyEventStore, postgresql_engine: Engine
) -> None:
    execute(postgresql_engine, SET_BACK)
    append(pruned, 2)
    # As if it were the older one: by the rows alone nothing shows now which is.
    execute(postgresql_engine, "UPDATE event SET body = '1' WHERE event_id = 50")
    with pytest.raises(UnsafeStoreError, match=r"stands at 12, .* meanwhile: 11, 12\. Run"):
        pruned.check()
    assert pruned.renumber() == [11, 12]
    pruned.check()
    assert pruned.newest_event_id() == 52


@pytest.mark.parametrize(
    "emptied", ["TRUNCATE event RESTART IDENTITY", "TRUNCATE event"], ids=["anew", "higher"]
)
def test_a_table_that_was_emptied_has_had_none_pruned(
    pruned: SqlAlchemyEventStore, postgresql_engine: Engine, emptied: str
) -> None:
    execute(postgresql_engine, emptied)
    for _ in range(3):
        append(pruned, 20)
        pruned.check()
    assert pruned.renumber() == []


def test_what_stays_among_those_that_go_is_no_such_event(
    route: Route, postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine
) -> None:
    backdated = "UPDATE event SET occurred_on = '2001-01-01' WHERE event_id IN (1, 2, 3, 7, 9)"
    execute(postgresql_engine, backdated)
    before = postgresql_store.stored_event(9)
    assert before is not None
    newer = before.occurred_on.replace(year=2002)
    assert postgresql_store.prune(50, occurred_before=newer) == 5
    postgresql_store.check()
    assert postgresql_store.renumber() == []
    again = "SELECT 3, type_name, body, occurred_on, aggregate_id, metadata FROM event"
    execute(
        postgresql_engine,
        f"INSERT INTO event OVERRIDING SYSTEM VALUE {again} WHERE event_id = 4",
    )
    with pytest.raises(UnsafeStoreError, match=r"1 event\(s\) .* 3 that were pruned.*: 3\. Run"):
        postgresql_store.check()


def test_another_table_of_events_beside_it_has_had_none_pruned(
    pruned: SqlAlchemyEventStore,
) -> None:
    settings = {"url": url_of(pruned), "table_name": "domain_event"}
    beside = SqlAlchemyEventStore(SqlAlchemySettings.model_validate(settings))
    beside.create()
    append(beside, 3)
    beside.check()
    beside.close()
    pruned.check()
