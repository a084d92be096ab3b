"""Two transactions, every order of commits: no event is passed (on all three databases)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.event import listen

from tests.sql.waiting import Beside, waits_for_locks
from tidings.errors import UnsafeStoreError
from tidings.event import NewEvent
from tidings.testing import eventually

if TYPE_CHECKING:
    from tidings.sql.event_store import SqlAlchemyEventStore


def type_names(store: SqlAlchemyEventStore) -> list[str]:
    return [event.type_name for event in store.all_stored_events_since(0, 100)]


def waits_for_a_lock(engine: Engine) -> bool:
    """Return whether an append waits for another one, as far as the database tells."""
    if engine.dialect.name == "sqlite":
        return True  # the second writer cannot even begin
    if engine.dialect.name == "postgresql":
        return False
    return waits_for_locks(engine) > 0


def append_beside(engine: Engine, store: SqlAlchemyEventStore, name: str) -> Beside:
    """Append in a transaction that may have to wait for another; return when it has or does."""

    def work() -> None:
        with engine.begin() as connection:
            store.append(connection, NewEvent(name, {}))

    beside = Beside(work)
    eventually(lambda: not beside.is_alive() or waits_for_a_lock(engine), "the second append")
    return beside


@pytest.mark.parametrize("first_commits", [True, False], ids=["commits", "rolls-back"])
def test_an_event_is_not_given_while_one_with_a_lower_id_may_still_appear(
    engine: Engine, store: SqlAlchemyEventStore, first_commits: bool
) -> None:
    with engine.connect() as first:
        store.append(first, NewEvent("First", {}))
        second = append_beside(engine, store, "Second")
        assert type_names(store) == []
        if first_commits:
            first.commit()
        else:
            first.rollback()
    second.result()
    expected = ["First", "Second"] if first_commits else ["Second"]
    assert type_names(store) == expected
    assert store.hold() is None


def test_a_transaction_that_began_early_and_appends_late_comes_late(
    server_engine: Engine, server_store: SqlAlchemyEventStore
) -> None:
    store = server_store
    with server_engine.begin() as connection:
        connection.execute(text("CREATE TABLE other (n int)"))
    with server_engine.connect() as early:
        early.execute(text("INSERT INTO other VALUES (1)"))
        with server_engine.begin() as other:
            store.append(other, NewEvent("VersionOne", {}, aggregate_id="a"))
        assert type_names(store) == ["VersionOne"]
        store.append(early, NewEvent("VersionTwo", {}, aggregate_id="a"))
        early.commit()
    assert type_names(store) == ["VersionOne", "VersionTwo"]


def test_events_of_one_append_have_ascending_ids_in_their_order(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    names = [f"Event{number}" for number in range(500)]
    with engine.begin() as connection:
        store.append(connection, *(NewEvent(name, {"n": name}) for name in names))
    assert [e.type_name for e in store.all_stored_events_since(0, 1000)] == names


def test_a_read_stops_at_its_limit_and_goes_on_from_there(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("A", number) for number in range(7)))
    given: list[str] = []
    position = 0
    while events := store.all_stored_events_since(position, 3):
        assert len(events) <= 3
        given += [event.body for event in events]
        position = events[-1].event_id
    assert given == [str(number) for number in range(7)]


def test_a_plain_insert_of_type_body_and_time_is_an_event(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO event (type_name, body, occurred_on) "
                "VALUES ('Raw', '{}', '2026-01-02 03:04:05.000006')"
            )
        )
    (event,) = store.all_stored_events_since(0, 10)
    assert (event.type_name, event.body, event.metadata) == ("Raw", "{}", None)
    assert event.occurred_on.isoformat() == "2026-01-02T03:04:05.000006+00:00"


def test_what_was_stored_comes_back_exactly(engine: Engine, store: SqlAlchemyEventStore) -> None:
    body = {"text": "☃ 𝄞 \\ ' \" \u0000 \n", "big": 2**70, "list": [None, True, 0.1]}
    event = NewEvent("Päckchen", body, aggregate_id="Ω", metadata={"k": "☃"})
    large = NewEvent("Large", "x" * 3_000_000)
    with engine.begin() as connection:
        store.append(connection, event, large)
    (stored,) = store.all_stored_events_since(0, 1)
    (stored_large,) = store.all_stored_events_since(stored.event_id, 1)
    assert stored[1:] == (
        "Päckchen",
        event.body_text(),
        event.occurred_on,
        "Ω",
        event.metadata_text(),
    )
    assert stored == store.stored_event(stored.event_id)
    assert stored_large.body == large.body_text()


def test_appending_in_autocommit_on_mysql_is_refused(
    mariadb_engine: Engine, mariadb_store: SqlAlchemyEventStore
) -> None:
    with mariadb_engine.connect() as connection:
        autocommit: Connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(UnsafeStoreError, match="AUTOCOMMIT"):
            mariadb_store.append(autocommit, NewEvent("A", {}))
    assert type_names(mariadb_store) == []


def test_an_append_on_mysql_that_waits_has_drawn_no_id_yet(
    mariadb_engine: Engine, mariadb_store: SqlAlchemyEventStore
) -> None:
    with mariadb_engine.connect() as first:
        mariadb_store.append(first, NewEvent("First", {}), NewEvent("Second", {}))
        second = append_beside(mariadb_engine, mariadb_store, "Fourth")
        assert second.is_alive()
        mariadb_store.append(first, NewEvent("Third", {}))
        first.commit()
    second.result()

    assert type_names(mariadb_store) == ["First", "Second", "Third", "Fourth"]


def test_an_append_of_one_event_on_mysql_is_one_statement(
    mariadb_engine: Engine, mariadb_store: SqlAlchemyEventStore
) -> None:
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    with mariadb_engine.begin() as connection:
        listen(mariadb_engine, "before_cursor_execute", note)
        mariadb_store.append(connection, NewEvent("A", {}, aggregate_id="1"))

    (statement,) = said
    assert statement.startswith("INSERT INTO event ")
    assert statement.endswith("FOR UPDATE")
