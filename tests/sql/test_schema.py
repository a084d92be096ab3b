"""Making the tables, and finding out whether they are the right ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, inspect, make_url, text

from tests.sql.databases import application_engine, event_store
from tests.sql.waiting import Beside
from tidings.errors import StoreNotReadyError
from tidings.event import NewEvent
from tidings.sql import metadata
from tidings.sql.schema import ddl
from tidings.sql.tables import SCHEMA_VERSION
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.sql.event_store import SqlAlchemyEventStore
    from tidings.sql.settings import SqlAlchemySettings


def test_tables_may_be_made_again_without_loss(engine: Engine, store: SqlAlchemyEventStore) -> None:
    with engine.begin() as connection:
        store.append(connection, NewEvent("A", {}))
    store.create()
    store.check()
    assert len(store.all_stored_events_since(0, 10)) == 1


def test_several_may_make_the_tables_at_once(settings: SqlAlchemySettings) -> None:
    url = settings.url.get_secret_value()
    stores = [event_store(url) for _ in range(6)]
    for maker in [Beside(store.create) for store in stores]:
        maker.result()
    for store in stores:
        store.check()
        store.close()


def test_the_printed_statements_make_the_same_tables(settings: SqlAlchemySettings) -> None:
    url = settings.url.get_secret_value()
    engine = application_engine(url)
    with engine.begin() as connection:
        for statement in ddl(make_url(url).get_backend_name()).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    store = event_store(url)
    store.check()
    with engine.begin() as connection:
        store.append(connection, NewEvent("A", {}))
    assert len(store.all_stored_events_since(0, 10)) == 1
    store.close()


def test_tables_that_create_all_made_are_ready(settings: SqlAlchemySettings) -> None:
    url = settings.url.get_secret_value()
    engine = application_engine(url)
    metadata.create_all(engine)
    metadata.create_all(engine)
    store = event_store(url)
    store.check()
    with engine.begin() as connection:
        store.append(connection, NewEvent("A", {}))
    assert len(store.all_stored_events_since(0, 10)) == 1
    store.close()
    engine.dispose()


def test_missing_tables_say_what_to_do(settings: SqlAlchemySettings, engine: Engine) -> None:
    with engine.begin() as connection:
        metadata.drop_all(connection)
    store = event_store(settings.url.get_secret_value())
    tracker = SqlAlchemyTracker(settings)
    calls: list[Callable[[], object]] = [
        store.check,
        lambda: store.all_stored_events_since(0, 1),
        lambda: tracker.most_recent_published_message_id("shop"),
        lambda: tracker.acquire_lease("shop", "a", 1),
    ]
    for call in calls:
        with pytest.raises(StoreNotReadyError, match="run `tidings init --tables`"):
            call()
    with engine.begin() as connection, pytest.raises(StoreNotReadyError, match="tidings init"):
        store.append(connection, NewEvent("A", {}))
    store.close()
    tracker.close()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (f"UPDATE tidings_schema SET version = {SCHEMA_VERSION - 1}", "older than this tidings"),
        (f"UPDATE tidings_schema SET version = {SCHEMA_VERSION + 1}", "newer than this tidings"),
        ("DELETE FROM tidings_schema", "bear no version"),
        ("DROP TABLE tidings_schema", "no table 'tidings_schema'"),
        ("ALTER TABLE event DROP COLUMN metadata", "without the columns metadata"),
    ],
)
def test_tables_that_are_not_this_versions_are_refused(
    engine: Engine, store: SqlAlchemyEventStore, change: str, sentence: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text(change))
    with pytest.raises(StoreNotReadyError, match=sentence):
        store.check()


@pytest.mark.parametrize("by", [-1, 1])
def test_tables_of_another_version_are_not_touched_by_creating(
    engine: Engine, store: SqlAlchemyEventStore, by: int
) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE tidings_schema SET version = {SCHEMA_VERSION + by}"))
    with pytest.raises(StoreNotReadyError, match="than this tidings"):
        store.create()


def test_another_applications_table_of_that_name_is_refused_by_creating(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("CREATE TABLE event (id int, title varchar(10))"))
    with pytest.raises(StoreNotReadyError, match=r"table 'event' without the columns event_id"):
        store.create()


def test_the_metadata_describes_what_was_made(engine: Engine, store: SqlAlchemyEventStore) -> None:
    """What Alembic's autogenerate compares: it would find nothing to do."""
    made = inspect(engine)
    for table in metadata.sorted_tables:
        if engine.dialect.name not in table.info.get("dialects", (engine.dialect.name,)):
            assert not made.has_table(table.name)
            continue
        columns = {column["name"]: column for column in made.get_columns(table.name)}
        assert set(columns) == {column.name for column in table.columns}
        for column in table.columns:
            assert columns[column.name]["nullable"] == column.nullable, column


def test_a_store_may_be_used_again_after_it_was_closed(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    store.close()
    store.close()
    assert store.newest_event_id() is None
    store.close()
    with engine.begin() as connection:
        store.append(connection, NewEvent("A", {}))
    assert store.newest_event_id() == 1
