"""A row that cannot be read is named; what is before it is given first, what is behind it after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from tests.sql.databases import application_engine, event_store, url_of
from tidings.errors import UnreadableEventError
from tidings.event import NewEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.given import DatabaseServer
    from tidings.sql.event_store import SqlAlchemyEventStore

SQLITE = {
    "seconds": "occurred_on = '1790000000'",
    "milliseconds": "occurred_on = '1712101200000'",
    "no time": "occurred_on = 'yesterday'",
    "before time": "occurred_on = '0001-01-01T00:00:00+14:00'",
    "bytes for a time": "occurred_on = x'00'",
    "bytes for a body": "body = x'7b7d'",
    "a body that is no UTF-8": "body = CAST(x'22ff22' AS TEXT)",
    "a type that is no UTF-8": "type_name = CAST(x'ff' AS TEXT)",
    "bytes for a type": "type_name = x'41'",
    "bytes for an aggregate": "aggregate_id = x'41'",
    "metadata that is no UTF-8": "metadata = CAST(x'ff' AS TEXT)",
}
POSTGRESQL = {
    "infinity": "occurred_on = 'infinity'",
    "minus infinity": "occurred_on = '-infinity'",
    "before Christ": "occurred_on = '0044-03-15 12:00:00+00 BC'",
    "a year that Python lacks": "occurred_on = '20000-01-01 00:00:00+00'",
}
MARIADB = {
    "no date": "occurred_on = '0000-00-00'",
    "no month": "occurred_on = '2026-00-10 10:00:00'",
}


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqlAlchemyEventStore]:
    store = event_store(f"sqlite:///{tmp_path / 'events.db'}")
    store.create()
    yield store
    store.close()


def expect_four_to_be_named(
    store: SqlAlchemyEventStore, change: str, *before: str, rows: int = 6
) -> UnreadableEventError:
    """Spoil the fourth of so many events, and read them all."""
    engine = application_engine(url_of(store))
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("Good", number + 1) for number in range(rows)))
    with engine.begin() as connection:
        for statement in before:
            connection.execute(text(statement))
        connection.execute(text(f"UPDATE event SET {change} WHERE event_id = 4"))
    engine.dispose()

    read: list[str] = []
    while len(read) < 3 and (events := store.all_stored_events_since(len(read), rows)):
        read += [event.body for event in events]
    assert read == ["1", "2", "3"]
    for _ in range(2):
        with pytest.raises(UnreadableEventError, match=r"Event 4 .*cannot be read: ") as raised:
            store.all_stored_events_since(3, 100)
        assert raised.value.event_id == 4
    with pytest.raises(UnreadableEventError, match="Event 4 "):
        store.stored_event(4)
    behind: list[str] = []
    while events := store.all_stored_events_since(4 + len(behind), rows):
        behind += [event.body for event in events]
    assert behind == [str(number) for number in range(5, rows + 1)]
    assert (store.newest_event_id(), store.count_stored_events_since(0)) == (rows, rows)
    return raised.value


@pytest.mark.parametrize("change", SQLITE.values(), ids=SQLITE)
def test_on_sqlite(sqlite_store: SqlAlchemyEventStore, change: str) -> None:
    error = expect_four_to_be_named(sqlite_store, change)
    field = change.partition(" ")[0]
    assert field in str(error)
    assert error.type_name == (None if field == "type_name" else "Good")


@pytest.mark.parametrize("change", POSTGRESQL.values(), ids=POSTGRESQL)
def test_on_postgresql(postgresql_store: SqlAlchemyEventStore, change: str) -> None:
    error = expect_four_to_be_named(postgresql_store, change)
    assert "occurred_on: timestamp too" in str(error)
    assert error.type_name == "Good"


@pytest.mark.parametrize("change", MARIADB.values(), ids=MARIADB)
def test_on_mariadb(mariadb_store: SqlAlchemyEventStore, change: str) -> None:
    error = expect_four_to_be_named(mariadb_store, change, "SET SESSION sql_mode = ''")
    assert "occurred_on: A time in the database is '" in str(error)
    assert error.type_name == "Good"


def test_on_mariadb_in_a_table_of_the_applications_own(mariadb_store: SqlAlchemyEventStore) -> None:
    own = "ALTER TABLE event MODIFY body LONGTEXT NULL, MODIFY type_name VARCHAR(255) NULL"
    error = expect_four_to_be_named(mariadb_store, "body = NULL, type_name = NULL", own)
    assert "is None" in str(error)
    assert error.type_name is None


def test_on_postgresql_in_a_table_of_the_applications_own(
    postgresql_store: SqlAlchemyEventStore,
) -> None:
    own = "ALTER TABLE event ALTER body DROP NOT NULL"
    error = expect_four_to_be_named(postgresql_store, "body = NULL", own)
    assert "body is None" in str(error)


def test_one_of_a_thousand_is_found(sqlite_store: SqlAlchemyEventStore) -> None:
    expect_four_to_be_named(sqlite_store, "occurred_on = '1790000000'", rows=1000)


def test_text_that_is_not_in_the_databases_encoding(postgresql: DatabaseServer) -> None:
    """A database of encoding SQL_ASCII holds any bytes."""
    server = application_engine(postgresql.url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text("CREATE DATABASE any_bytes ENCODING 'SQL_ASCII' TEMPLATE template0")
        )
    url = postgresql.url.rpartition("/")[0] + "/any_bytes?client_encoding=utf8"
    store = event_store(url)
    try:
        store.create()
        error = expect_four_to_be_named(store, r"body = E'\xff'")
        assert "body: " in str(error)
    finally:
        store.close()
        with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("DROP DATABASE any_bytes WITH (FORCE)"))
        server.dispose()


def test_while_an_id_below_it_may_still_appear_it_is_waited_for(
    postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine
) -> None:
    """Else the position would go to the unreadable event, and past what is committed then."""
    store = postgresql_store
    with postgresql_engine.connect() as first:
        store.append(first, NewEvent("First", 1))
        with postgresql_engine.begin() as second:
            store.append(second, NewEvent("Second", 2))
            second.execute(text("UPDATE event SET occurred_on = 'infinity' WHERE event_id = 2"))
        assert store.all_stored_events_since(0, 100) == []
        hold = store.hold()
        assert hold is not None
        assert hold.missing_id == 1
        first.commit()
    assert [event.body for event in store.all_stored_events_since(0, 100)] == ["1"]
    with pytest.raises(UnreadableEventError, match="Event 2 "):
        store.all_stored_events_since(1, 100)


def test_a_body_of_another_type_than_text_is_named(
    postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine
) -> None:
    with postgresql_engine.begin() as connection:
        postgresql_store.append(connection, NewEvent("A", 1))
        connection.execute(text("ALTER TABLE event ALTER body TYPE jsonb USING body::jsonb"))
    with pytest.raises(UnreadableEventError, match="body"):
        postgresql_store.all_stored_events_since(0, 100)
