"""What only MariaDB, or only SQLite, does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.orm import Session

from tests.sql.databases import application_engine, event_store
from tests.sql.waiting import Beside
from tidings import record
from tidings.errors import EventStoreError, StoreNotReadyError, UnsafeStoreError
from tidings.event import NewEvent
from tidings.sql.commit_order.mysql import is_on
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.given import DatabaseServer
    from tidings.sql.event_store import SqlAlchemyEventStore


@pytest.mark.parametrize("table", ["event", "event_append_lock"])
def test_a_mariadb_table_without_row_locks_is_refused(
    mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine, table: str
) -> None:
    mariadb_store.check()
    with mariadb_engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} ENGINE = MyISAM"))
    with pytest.raises(UnsafeStoreError, match=rf"'{table}' is kept by MyISAM"):
        mariadb_store.check()


def test_a_mariadb_append_lock_without_its_row_lets_nobody_append(
    mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    with mariadb_engine.begin() as connection:
        connection.execute(text("DELETE FROM event_append_lock"))
    with pytest.raises(StoreNotReadyError, match="lost its row"):
        mariadb_store.check()
    with mariadb_engine.begin() as connection, pytest.raises(StoreNotReadyError, match="its row"):
        mariadb_store.append(connection, NewEvent("A", {}))
    mariadb_store.create()
    mariadb_store.check()


def test_a_read_only_mariadb_is_refused_as_a_replica(
    mariadb: DatabaseServer, mariadb_store: SqlAlchemyEventStore
) -> None:
    server = application_engine(mariadb.url)
    assert mariadb_store.all_stored_events_since(0, 1) == []
    mariadb_store.close()
    try:
        with server.connect() as connection:
            connection.execute(text("SET GLOBAL read_only = 1"))
        with pytest.raises(UnsafeStoreError, match="replica"):
            mariadb_store.all_stored_events_since(0, 1)
    finally:
        with server.connect() as connection:
            connection.execute(text("SET GLOBAL read_only = 0"))
    assert mariadb_store.all_stored_events_since(0, 1) == []


def test_what_changes_on_mariadb_while_it_is_read_is_seen_on_the_same_connection(
    mariadb: DatabaseServer, mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    mariadb_store.check()
    mariadb_store.watch()
    with mariadb_engine.begin() as connection:
        connection.execute(text("DELETE FROM event_append_lock"))
    with pytest.raises(StoreNotReadyError, match="lost its row"):
        mariadb_store.watch()
    mariadb_store.create()
    mariadb_store.watch()
    server = application_engine(mariadb.url)
    try:
        with server.connect() as connection:
            connection.execute(text("SET GLOBAL read_only = 1"))
        with pytest.raises(UnsafeStoreError, match="replica"):
            mariadb_store.watch()
    finally:
        with server.connect() as connection:
            connection.execute(text("SET GLOBAL read_only = 0"))
    mariadb_store.watch()


def test_no_gap_is_passed_on_a_mariadb_that_has_just_become_read_only(
    mariadb: DatabaseServer, mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    with mariadb_engine.begin() as connection:
        mariadb_store.append(connection, *(NewEvent(name, {}) for name in "ABC"))
        connection.execute(text("DELETE FROM event WHERE event_id = 2"))  # not applied yet, say
    assert len(mariadb_store.all_stored_events_since(0, 1)) == 1
    server = application_engine(mariadb.url)
    try:
        with server.connect() as connection:
            connection.execute(text("SET GLOBAL read_only = 1"))
        with pytest.raises(UnsafeStoreError, match="replica"):
            mariadb_store.all_stored_events_since(1, 10)
    finally:
        with server.connect() as connection:
            connection.execute(text("SET GLOBAL read_only = 0"))
    assert [each.event_id for each in mariadb_store.all_stored_events_since(1, 10)] == [3]


@pytest.mark.parametrize(
    ("answer", "read_only"),
    [(0, False), (1, True), ("OFF", False)]
    + [(word, True) for word in ("ON", "NO_LOCK", "NO_LOCK_NO_ADMIN")],
)
def test_a_switch_is_understood_as_mariadb_12_says_it(answer: object, read_only: bool) -> None:
    assert is_on(answer) is read_only


def test_a_two_phase_transaction_of_mariadb_is_refused(
    mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    with Session(mariadb_engine, twophase=True) as session:
        record(session, NewEvent("A", {}))
        with pytest.raises(UnsafeStoreError, match="two-phase"):
            session.prepare()
    with mariadb_engine.connect() as connection:
        with connection.begin_twophase(), pytest.raises(UnsafeStoreError, match="two-phase"):
            record(connection, NewEvent("A", {}))
        assert connection.recover_twophase() == []

    assert mariadb_store.newest_event_id() is None


def test_mariadb_appends_wait_for_one_another_but_not_for_other_work(
    mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    with mariadb_engine.begin() as connection:
        connection.execute(text("CREATE TABLE other (n int)"))
    with mariadb_engine.connect() as first:
        mariadb_store.append(first, NewEvent("First", {}))
        with mariadb_engine.begin() as other:
            other.execute(text("INSERT INTO other VALUES (1)"))
    assert mariadb_store.all_stored_events_since(0, 10) == []


def test_mariadb_takes_many_events_in_few_statements_and_keeps_their_order(
    mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    many = [NewEvent(f"Event{number}", {"euro \u20ac": "\U0001f600"}) for number in range(300)]
    with mariadb_engine.begin() as connection:
        before = _inserts_of(connection)
        mariadb_store.append(connection, *many)
        statements = _inserts_of(connection) - before
    stored = mariadb_store.all_stored_events_since(0, 1000)
    assert [each.type_name for each in stored] == [each.type_name for each in many]
    assert {each.body for each in stored} == {'{"euro \u20ac":"\U0001f600"}'}
    assert statements < 12


def _inserts_of(connection: Connection) -> int:
    """Return how many statements that insert the server has had on this connection."""
    asked = text("SHOW SESSION STATUS WHERE Variable_name IN ('Com_insert', 'Com_insert_select')")
    return sum(int(row[1]) for row in connection.execute(asked))


def test_mariadb_takes_large_events_in_statements_of_their_own(
    mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    body = "x" * 700_000  # two of these are more than a server of a small limit takes
    with mariadb_engine.begin() as connection:
        before = _inserts_of(connection)
        mariadb_store.append(connection, *(NewEvent("A", body) for _ in range(4)))
        assert _inserts_of(connection) - before == 4
    assert mariadb_store.count_stored_events_between(0, 4, 10) == 4


def test_all_events_of_a_mariadb_append_go_where_the_applications_engine_places_tables(
    mariadb: DatabaseServer, mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    url = mariadb.new_database()
    tenants_store = event_store(url)
    tenants_store.create()
    tenants = mariadb_engine.execution_options(schema_translate_map={None: make_url(url).database})
    with tenants.begin() as connection:
        mariadb_store.append(connection, *(NewEvent("A", {}) for _ in range(3)))
    assert len(tenants_store.all_stored_events_since(0, 10)) == 3
    assert mariadb_store.all_stored_events_since(0, 10) == []
    tenants_store.close()


def test_small_mariadb_events_together_need_no_large_packet(
    mariadb: DatabaseServer, mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    server = application_engine(mariadb.url)
    with server.connect() as connection:
        before = connection.execute(text("SELECT @@GLOBAL.max_allowed_packet")).scalar_one()
        connection.execute(text("SET GLOBAL max_allowed_packet = 65536"))
    try:
        with mariadb_engine.begin() as connection:
            body = "\U0001f600" * 400
            mariadb_store.append(connection, *(NewEvent("A", body) for _ in range(100)))
    finally:
        with server.connect() as connection:
            connection.execute(text(f"SET GLOBAL max_allowed_packet = {before}"))
    assert len(mariadb_store.all_stored_events_since(0, 1000)) == 100


def test_a_mariadb_user_who_may_only_insert_events_appends_many_of_them(
    mariadb_store: SqlAlchemyEventStore, mariadb_engine: Engine
) -> None:
    database = mariadb_engine.url.database
    with mariadb_engine.begin() as connection:
        us = connection.execute(text("SELECT SUBSTRING_INDEX(USER(), '@', -1)")).scalar_one()
        user = f"'writer'@'{us}'"
        connection.execute(text(f"CREATE USER {user} IDENTIFIED BY 'secret'"))
        connection.execute(text(f"GRANT INSERT ON {database}.event TO {user}"))
        connection.execute(text(f"GRANT SELECT ON {database}.event_append_lock TO {user}"))
    url = mariadb_engine.url.set(username="writer", password="secret")
    writer = application_engine(url.render_as_string(hide_password=False))
    try:
        with writer.begin() as connection:
            mariadb_store.append(connection, *(NewEvent("A", {}) for _ in range(3)))
    finally:
        writer.dispose()
        with mariadb_engine.begin() as connection:
            connection.execute(text(f"DROP USER {user}"))
    assert len(mariadb_store.all_stored_events_since(0, 10)) == 3


@pytest.fixture
def sqlite_store(tmp_path: Path) -> SqlAlchemyEventStore:
    store = event_store(f"sqlite:///{tmp_path / 'events.db'}")
    store.create()
    return store


def test_on_sqlite_ids_go_on_rising_when_every_event_was_deleted(
    sqlite_store: SqlAlchemyEventStore, tmp_path: Path
) -> None:
    engine = application_engine(f"sqlite:///{tmp_path / 'events.db'}")
    for expected in (1, 2, 3):
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM event"))
            sqlite_store.append(connection, NewEvent("A", {}))
        assert [e.event_id for e in sqlite_store.all_stored_events_since(0, 10)] == [expected]
    sqlite_store.close()


def test_a_sqlite_table_without_autoincrement_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    engine = application_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE event (event_id INTEGER PRIMARY KEY, type_name TEXT, body TEXT, "
                "occurred_on TEXT, aggregate_id TEXT, metadata TEXT)"
            )
        )
    store = event_store(url)
    store.create()
    with pytest.raises(UnsafeStoreError, match="no AUTOINCREMENT"):
        store.check()
    store.close()


def test_a_missing_sqlite_file_is_not_made_by_looking_at_it(tmp_path: Path) -> None:
    path = tmp_path / "mistyped.db"
    store = event_store(f"sqlite:///{path}")
    for look in (store.check, store.newest_event_id, store.transaction().__enter__):
        with pytest.raises(StoreNotReadyError, match="run `tidings init --tables`"):
            look()
    assert not path.exists()


def test_times_that_others_wrote_to_sqlite_are_read_as_utc(
    sqlite_store: SqlAlchemyEventStore, tmp_path: Path
) -> None:
    engine = application_engine(f"sqlite:///{tmp_path / 'events.db'}")
    times = ["2026-01-02 03:04:05", "2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05Z"]
    with engine.begin() as connection:
        for when in times:
            connection.execute(
                text(
                    f"INSERT INTO event (type_name, body, occurred_on) VALUES ('A', '1', '{when}')"
                )
            )
    read = {e.occurred_on.isoformat() for e in sqlite_store.all_stored_events_since(0, 10)}
    assert read == {"2026-01-02T03:04:05+00:00"}
    sqlite_store.close()


@pytest.mark.parametrize("when", ["yesterday", 1767323045])
def test_a_time_on_sqlite_that_is_none_is_named(
    sqlite_store: SqlAlchemyEventStore, tmp_path: Path, when: object
) -> None:
    engine = application_engine(f"sqlite:///{tmp_path / 'events.db'}")
    insert = "INSERT INTO event (type_name, body, occurred_on) VALUES ('A', '1', :when)"
    with engine.begin() as connection:
        connection.execute(text(insert), {"when": when})
    with pytest.raises(EventStoreError, match=f"{when}.*not ISO 8601"):
        sqlite_store.all_stored_events_since(0, 10)
    sqlite_store.close()


def test_writers_and_the_relay_on_one_sqlite_file_never_find_it_locked(
    sqlite_store: SqlAlchemyEventStore, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    tracker = SqlAlchemyTracker(SqlAlchemySettings(url=SecretStr(url)))
    end = time.monotonic() + 5
    written = [0, 0]

    def write(writer: int) -> None:
        while time.monotonic() < end:
            with sqlite_store.transaction() as connection:
                sqlite_store.append(connection, NewEvent("A", written[writer]))
            written[writer] += 1

    writers = [Beside(lambda writer=writer: write(writer)) for writer in (0, 1)]  # type: ignore[misc]  # a lambda in a loop
    reader = event_store(url)
    lease = tracker.acquire_lease("shop", "a", 15)
    position = 0

    def all_is_published() -> bool:
        nonlocal position
        for event in reader.all_stored_events_since(position, 100)[-1:]:
            tracker.track_most_recent_published_message("shop", event, lease)
            position = event.event_id
        at_work = any(writer.is_alive() for writer in writers)
        return not at_work and position == reader.newest_event_id()

    eventually(all_is_published, "the relay to keep up", 30)
    for writer in writers:
        writer.result()
    assert position == sum(written) > 50
    tracker.close()
    reader.close()
    sqlite_store.close()
