"""Tables under a name and in a schema of the operator's choice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, create_engine, inspect, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from tests.sql.databases import application_engine
from tidings.errors import StoreNotReadyError
from tidings.event import NewEvent
from tidings.plugins import Waited
from tidings.relay.retention import prune
from tidings.sql import inbox_metadata, metadata, metadata_for, record, use_tables
from tidings.sql.event_log import events_log
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.names import OURS
from tidings.sql.outbox import OutboxMessageDispatcher, OutboxSettings, outbox_event_store
from tidings.sql.schema import ddl
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tables import SCHEMA_VERSION
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Iterator

Names = dict[str, str]
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+aiomysql",
}


@pytest.fixture
def own(database_url: str) -> Iterator[Engine]:
    """Give an engine of an application that has a table `event` of its own."""
    engine = application_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE event (title varchar(10))"))
        connection.execute(text("INSERT INTO event VALUES ('concert')"))
    yield engine
    engine.dispose()


@pytest.fixture
def names(own: Engine) -> Iterator[Names]:
    """Give the names that its tables of tidings have, in a schema if there are schemas."""
    if own.dialect.name == "sqlite":
        yield {"table_name": "domain_event"}
        return
    schema = f"of_{own.url.database}"
    with own.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield {"table_name": "domain_event", "schema": schema}
    with own.begin() as connection:
        cascade = " CASCADE" if own.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP SCHEMA {schema}{cascade}"))


def settings_of(url: str, **names: str) -> SqlAlchemySettings:
    return SqlAlchemySettings.model_validate({"url": url, **names})


@pytest.fixture
def store(database_url: str, names: Names) -> Iterator[SqlAlchemyEventStore]:
    store = SqlAlchemyEventStore(settings_of(database_url, **names))
    yield store
    store.close()


@pytest.fixture
def tracker(database_url: str, names: Names) -> Iterator[SqlAlchemyTracker]:
    tracker = SqlAlchemyTracker(settings_of(database_url, **names))
    yield tracker
    tracker.close()


def test_everything_goes_to_those_tables_and_nothing_to_the_applications(
    own: Engine,
    names: Names,
    store: SqlAlchemyEventStore,
    tracker: SqlAlchemyTracker,
) -> None:
    store.create()
    tracker.create()
    store.check()
    use_tables(own, **names)
    with Session(own) as session:
        record(session, NewEvent("Recorded", {}))
        session.commit()
    with own.begin() as connection:
        record(connection, NewEvent("AtOnce", {}))
        store.append(connection, NewEvent("Appended", {}))
    lease = tracker.acquire_lease("shop", "a", 15)
    for stored in store.all_stored_events_since(0, 10):
        tracker.track_most_recent_published_message("shop", stored, lease)

    found = [e.type_name for e in store.all_stored_events_since(0, 10)]
    assert found == ["Recorded", "AtOnce", "Appended"]
    assert store.hold() is None
    assert store.identity()
    assert prune(store, tracker, ["shop"], keep=1).events == 2
    with own.connect() as connection:
        assert connection.execute(text("SELECT title FROM event")).scalars().all() == ["concert"]
    if "schema" in names:
        assert inspect(own).get_table_names() == ["event"]


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_events_of_a_tenant_with_a_schema_of_its_own_go_there_too(
    own: Engine, names: Names, store: SqlAlchemyEventStore
) -> None:
    store.create()
    use_tables(own, **names)
    tenants = own.execution_options(schema_translate_map={None: "of_a_tenant"})
    with Session(tenants) as session:
        record(session, NewEvent("A", {}), NewEvent("B", {}))
        session.commit()
    assert [e.type_name for e in store.all_stored_events_since(0, 10)] == ["A", "B"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # there alone are gaps held
def test_a_gap_is_held_there_too(own: Engine, names: Names, store: SqlAlchemyEventStore) -> None:
    store.create()
    with own.connect() as late:
        store.append(late, NewEvent("First", {}))
        with own.begin() as connection:
            store.append(connection, NewEvent("Second", {}))
        assert store.all_stored_events_since(0, 10) == []
        assert store.hold() is not None
        late.commit()
    assert [e.type_name for e in store.all_stored_events_since(0, 9)] == ["First", "Second"]


def test_the_printed_statements_and_create_all_make_them(
    own: Engine, names: Names, store: SqlAlchemyEventStore
) -> None:
    printed = ddl(own.dialect.name, events_log(**names))
    with own.begin() as connection:
        for statement in printed.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    store.check()
    metadata = metadata_for(**names)
    metadata.drop_all(own)
    with pytest.raises(StoreNotReadyError, match="has no table 'domain_event'"):
        store.check()
    metadata.create_all(own)
    store.check()


def test_tables_of_version_1_are_migrated_there(
    own: Engine, names: Names, store: SqlAlchemyEventStore
) -> None:
    store.create()
    schema = f"{names['schema']}." if "schema" in names else ""
    with own.begin() as connection:
        connection.execute(text(f"ALTER TABLE {schema}tidings_schema DROP COLUMN store"))
        connection.execute(text(f"UPDATE {schema}tidings_schema SET version = 1"))
    assert f"version={SCHEMA_VERSION}" in store.migrate()
    store.check()


def test_an_outbox_is_found_in_its_schema(database_url: str, own: Engine, names: Names) -> None:
    schema = {"schema": names["schema"]} if "schema" in names else {}
    store = outbox_event_store(OutboxSettings.model_validate({"url": database_url, **schema}))
    store.create()
    store.check()
    with own.begin() as connection:
        OutboxMessageDispatcher(connection, **schema).dispatch(NewEvent("Boxed", {}))  # type: ignore[arg-type]  # a schema is text
    assert [e.type_name for e in store.all_stored_events_since(0, 9)] == ["Boxed"]
    store.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # no other wakes a relay
def test_the_wake_up_is_in_that_schema(database_url: str, own: Engine, names: Names) -> None:
    settings = SqlAlchemySettings.model_validate({"url": database_url, "wake_up": True, **names})
    store = SqlAlchemyEventStore(settings)
    store.create()
    store.check()
    assert store.all_stored_events_since(0, 9) == []
    assert store.wait(0.1) is Waited.MAY_BE_NEW  # it begins to listen
    with own.begin() as connection:
        store.append(connection, NewEvent("A", {}))
    assert store.wait(20) is Waited.MAY_BE_NEW
    store.close()


def test_an_asynchronous_engine_uses_them_too(
    database_url: str, own: Engine, names: Names, store: SqlAlchemyEventStore
) -> None:
    store.create()

    async def record_one() -> None:
        url = make_url(database_url)
        engine = create_async_engine(url.set(drivername=ASYNC_DRIVERS[own.dialect.name]))
        use_tables(engine, **names)
        async with engine.begin() as connection:
            await connection.run_sync(record, NewEvent("A", {}))
        await engine.dispose()

    asyncio.run(record_one())
    assert [e.type_name for e in store.all_stored_events_since(0, 9)] == ["A"]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({"table_name": "domain event"}, "cannot be the name of a table"),
        ({"table_name": "Inbox"}, "another table of tidings"),
        ({"schema": 'a"b'}, "cannot be the name of a table or a schema"),
        ({"schema": "messaging"}, "SQLite has no schemas"),
    ],
)
def test_a_name_that_cannot_be_is_a_sentence(names: Names, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        settings_of("sqlite:///events.db", **names)
    if sentence != "SQLite has no schemas":
        with pytest.raises(ValueError, match=sentence):
            use_tables(create_engine("sqlite://"), **names)


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_a_store_is_the_same_one_whether_its_schema_is_named_or_not(
    settings: SqlAlchemySettings,
) -> None:
    store = SqlAlchemyEventStore(settings)
    store.create()
    schema = "public" if store.database.dialect_name == "postgresql" else store.database.place[-1]
    named = SqlAlchemyEventStore(settings.model_copy(update={"db_schema": schema}))

    assert named.identity() == store.identity()

    for each in (store, named):
        each.close()


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_a_schema_that_is_not_there_is_to_be_created(database_url: str) -> None:
    store = SqlAlchemyEventStore(settings_of(database_url, schema="nowhere"))

    with pytest.raises(StoreNotReadyError, match="create it, then run `tidings init --tables`"):
        store.create()

    store.close()


def test_every_other_table_of_ours_is_known_by_its_name() -> None:
    assert {"event", *OURS} == {*metadata.tables, *inbox_metadata.tables}
