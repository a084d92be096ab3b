"""Tables of version 1, with what is in them, become this version's."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event, inspect, text

from tests.sql.databases import application_engine, event_store, version_1
from tidings.errors import StoreNotReadyError
from tidings.event import NewEvent
from tidings.sql.tables import SCHEMA_VERSION, tables_for
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, TextClause

    from tests.servers.given import DatabaseServer
    from tidings.sql.event_store import SqlAlchemyEventStore
    from tidings.sql.settings import SqlAlchemySettings


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Give the engine of a database that holds a dump of version 1."""
    engine = application_engine(database_url)
    with engine.begin() as connection:
        for statement in version_1(engine.dialect.name):
            connection.exec_driver_sql(statement)
    yield engine
    engine.dispose()


@pytest.fixture
def store(database_url: str, engine: Engine) -> Iterator[SqlAlchemyEventStore]:
    store = event_store(database_url)
    yield store
    store.close()


def columns(engine: Engine) -> dict[str, set[str]]:
    made = inspect(engine)
    return {
        table.name: {column["name"] for column in made.get_columns(table.name)}
        for table in tables_for(engine.dialect.name)
    }


def test_tables_of_version_1_are_refused_with_what_to_run(store: SqlAlchemyEventStore) -> None:
    for call in (store.check, store.create):
        with pytest.raises(StoreNotReadyError, match=r"of version 1, older.*run `tidings migrate`"):
            call()


def test_what_is_in_them_stays_and_the_exchange_goes_on(
    store: SqlAlchemyEventStore, settings: SqlAlchemySettings, engine: Engine
) -> None:
    before = store.all_stored_events_since(0, 10)
    tracker = SqlAlchemyTracker(settings)

    assert store.migrate()
    store.check()
    with store.transaction() as transaction:
        store.append(transaction, NewEvent("OrderShipped", {}))

    assert [*before, store.stored_event(4)] == store.all_stored_events_since(0, 10)
    lease = tracker.acquire_lease("shop", "a", 15)
    assert (lease.position[:2], lease.epoch) == ((2, 1), 8)
    assert lease.fingerprint == "20260102T030405.000002 OrderPlaced"
    assert [event.event_id for event in tracker.quarantined_events("shop")] == [1]
    assert columns(engine) == {
        table.name: {column.name for column in table.columns}
        for table in tables_for(engine.dialect.name)
    }
    tracker.close()


def test_the_identity_is_made_once_and_is_every_databases_own(
    store: SqlAlchemyEventStore, settings: SqlAlchemySettings
) -> None:
    store.migrate()
    identity = store.identity()
    store.create()
    tracker = SqlAlchemyTracker(settings)

    assert len(identity) == 32
    assert store.migrate() == tracker.migrate() == ""
    assert store.identity() == identity
    tracker.close()


def test_several_may_migrate_at_once(store: SqlAlchemyEventStore, database_url: str) -> None:
    stores = [event_store(database_url) for _ in range(4)]
    with ThreadPoolExecutor() as threads:
        done = list(threads.map(lambda each: each.migrate(), stores))

    assert sorted(map(bool, done)) == [False, False, False, True]
    store.check()
    for each in stores:
        each.close()


def test_who_may_migrate_next_on_mariadb_sees_what_was_done(
    mariadb: DatabaseServer,
) -> None:
    url = mariadb.new_database()
    plain = application_engine(url)
    with plain.begin() as connection:
        for statement in version_1("mysql"):
            connection.exec_driver_sql(statement)

    with released_locks(plain) as seen, closing(event_store(url)) as store:
        store.migrate()

    assert seen == [SCHEMA_VERSION]
    plain.dispose()


def test_who_may_create_next_on_mariadb_sees_what_was_done(mariadb: DatabaseServer) -> None:
    url = mariadb.new_database()
    plain = application_engine(url)

    with released_locks(plain) as seen, closing(event_store(url)) as store:
        store.create()

    assert seen == [SCHEMA_VERSION]
    plain.dispose()


@contextmanager
def released_locks(other: Engine) -> Iterator[list[int | None]]:
    """Give which version another connection finds whenever MariaDB is told to release a lock."""
    seen: list[int | None] = []

    def look(_connection: Connection, _cursor: Any, statement: str, *_: object) -> None:
        if "RELEASE_LOCK" in statement:
            with other.connect() as connection:
                version = "SELECT version FROM tidings_schema"
                seen.append(connection.exec_driver_sql(version).scalar_one_or_none())

    event.listen(Engine, "before_cursor_execute", look)
    yield seen
    event.remove(Engine, "before_cursor_execute", look)


def test_one_that_was_interrupted_is_finished(store: SqlAlchemyEventStore, engine: Engine) -> None:
    *earlier, last = _statements(store.migrate(dry_run=True))
    for done, statement in enumerate(earlier, 1):
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        assert _statements(store.migrate(dry_run=True)) == [*earlier[done:], last]

    assert _statements(store.migrate()) == [last]
    store.check()
    assert store.identity()


def test_the_statements_alone_do_the_same(store: SqlAlchemyEventStore, engine: Engine) -> None:
    statements = _statements(store.migrate(dry_run=True))
    with pytest.raises(StoreNotReadyError):
        store.check()
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)

    store.check()
    assert store.migrate(dry_run=True) == ""


def test_there_is_nothing_to_migrate_where_there_are_no_tables(
    settings: SqlAlchemySettings, engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE tidings_schema"))

    with pytest.raises(StoreNotReadyError, match="run `tidings init --tables`"):
        store.migrate()


def test_a_newer_version_is_left_alone(store: SqlAlchemyEventStore, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE tidings_schema SET version = {SCHEMA_VERSION + 1}"))

    with pytest.raises(StoreNotReadyError, match="newer than this tidings"):
        store.migrate()


@pytest.fixture(params=["postgresql", "mariadb"])
def server_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Give the engine of a dump of version 1 on a server, where several may work at once."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    engine = application_engine(server.new_database())
    with engine.begin() as connection:
        for statement in version_1(engine.dialect.name):
            connection.exec_driver_sql(statement)
    yield engine
    engine.dispose()


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def test_events_are_recorded_while_it_migrates(server_engine: Engine) -> None:
    store = event_store(url_of(server_engine))
    with server_engine.begin() as recording:
        recording.execute(
            text("INSERT INTO event (type_name, body, occurred_on) VALUES ('A', '{}', :now)"),
            {"now": "2026-01-02 03:04:05"},
        )
        assert store.migrate()
        store.check()
    assert [event.type_name for event in store.all_stored_events_since(3, 10)] == ["A"]
    store.close()


WAITING = {
    "postgresql": (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database() AND query LIKE 'ALTER TABLE%'"
    ),
    "mysql": (
        "SELECT count(*) FROM information_schema.processlist "
        "WHERE db = DATABASE() AND state = 'Waiting for table metadata lock'"
    ),
}


def test_one_that_is_killed_in_the_middle_is_finished_by_the_next(server_engine: Engine) -> None:
    url = url_of(server_engine)
    migrate = "import sys; from tests.sql.databases import *; event_store(sys.argv[1]).migrate()"
    waiting = text(WAITING[server_engine.dialect.name])
    with server_engine.connect() as reading, server_engine.connect() as looking:
        reading.execute(text("SELECT * FROM event_published_message_tracker")).all()
        killed = subprocess.Popen([sys.executable, "-c", migrate, url])
        try:
            eventually(lambda: _scalar(looking, waiting), "an ALTER TABLE that waits")
        finally:
            killed.kill()
            killed.wait()
        reading.rollback()

    store = event_store(url)
    store.migrate()
    store.check()
    assert [event.event_id for event in store.all_stored_events_since(0, 10)] == [1, 2, 3]
    assert columns(server_engine) == {
        table.name: {column.name for column in table.columns}
        for table in tables_for(server_engine.dialect.name)
    }
    store.close()


def _scalar(connection: Connection, query: TextClause) -> Any:
    found = connection.execute(query).scalar()
    connection.rollback()
    return found


def _statements(script: str) -> list[str]:
    # PostgreSQL's comment on a column goes with it, in one transaction.
    parts = re.split(r";\n(?!\s*COMMENT )", script)
    return [part.strip() for part in parts if part.strip()]
