"""What the tests of the SQL side share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool

from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyPublishedMessageTracker


@pytest.fixture
def settings(database_url: str) -> SqlAlchemySettings:
    """Give the settings of an empty database, once of each kind."""
    return SqlAlchemySettings(url=SecretStr(database_url))


@pytest.fixture
def store(settings: SqlAlchemySettings) -> Iterator[SqlAlchemyEventStore]:
    """Give an event store whose tables are there."""
    store = SqlAlchemyEventStore(settings)
    store.create()
    yield store
    store.close()


@pytest.fixture
def tracker(
    settings: SqlAlchemySettings, store: SqlAlchemyEventStore
) -> Iterator[SqlAlchemyPublishedMessageTracker]:
    """Give a tracker in the same database."""
    tracker = SqlAlchemyPublishedMessageTracker(settings)
    yield tracker
    tracker.close()


@pytest.fixture
def engine(database_url: str, store: SqlAlchemyEventStore) -> Iterator[Engine]:
    """Give an engine as the application would make one for the same database."""
    engine = create_engine(database_url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        # As SQLAlchemy's page on SQLite asks those who use savepoints to.
        event.listen(engine, "connect", _leave_transactions_alone)
        event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN"))
    yield engine
    engine.dispose()


def _leave_transactions_alone(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
