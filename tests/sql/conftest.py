"""What the tests of the SQL side share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.servers.databases import create_database, drop_database
from tests.sql.databases import application_engine, event_store, url_of
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.servers.given import DatabaseServer
    from tidings.sql.event_store import SqlAlchemyEventStore


@pytest.fixture
def settings(database_url: str) -> SqlAlchemySettings:
    """Give the settings of an empty database, once of each kind."""
    return SqlAlchemySettings(url=SecretStr(database_url))


@pytest.fixture
def store(settings: SqlAlchemySettings) -> Iterator[SqlAlchemyEventStore]:
    """Give an event store whose tables are there."""
    yield from _store(settings.url.get_secret_value())


@pytest.fixture
def tracker(
    settings: SqlAlchemySettings, store: SqlAlchemyEventStore
) -> Iterator[SqlAlchemyTracker]:
    """Give a tracker in the same database."""
    tracker = SqlAlchemyTracker(settings)
    yield tracker
    tracker.close()


@pytest.fixture
def engine(database_url: str, store: SqlAlchemyEventStore) -> Iterator[Engine]:
    """Give an engine as the application would make one for the same database."""
    engine = application_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqlAlchemyEventStore]:
    """Give an event store in an empty SQLite file."""
    yield from _store(f"sqlite:///{tmp_path / 'events.db'}")


@pytest.fixture
def postgresql_store(postgresql: DatabaseServer) -> Iterator[SqlAlchemyEventStore]:
    """Give an event store in an empty PostgreSQL database."""
    yield from _store(postgresql.new_database())


@pytest.fixture
def postgresql_engine(postgresql_store: SqlAlchemyEventStore) -> Iterator[Engine]:
    """Give the application's engine for `postgresql_store`."""
    yield from _engine(postgresql_store)


@pytest.fixture
def database_in(postgresql: DatabaseServer) -> Iterator[Callable[[str], str]]:
    """Give a function that makes a PostgreSQL database in that encoding and returns its URL."""
    urls = []

    def new_database(encoding: str) -> str:
        urls.append(create_database(postgresql.url, encoding=encoding))
        return urls[-1]

    yield new_database
    for url in urls:
        drop_database(postgresql.url, url)


@pytest.fixture(params=["postgresql", "mariadb"])
def server_store(request: pytest.FixtureRequest) -> SqlAlchemyEventStore:
    """Give an event store where several transactions may write at once."""
    store: SqlAlchemyEventStore = request.getfixturevalue(f"{request.param}_store")
    return store


@pytest.fixture
def server_engine(server_store: SqlAlchemyEventStore) -> Iterator[Engine]:
    """Give the application's engine for `server_store`."""
    yield from _engine(server_store)


@pytest.fixture
def mariadb_store(mariadb: DatabaseServer) -> Iterator[SqlAlchemyEventStore]:
    """Give an event store in an empty MariaDB database."""
    yield from _store(mariadb.new_database())


@pytest.fixture
def mariadb_engine(mariadb_store: SqlAlchemyEventStore) -> Iterator[Engine]:
    """Give the application's engine for `mariadb_store`."""
    yield from _engine(mariadb_store)


def _store(url: str) -> Iterator[SqlAlchemyEventStore]:
    store = event_store(url)
    store.create()
    yield store
    store.close()


def _engine(store: SqlAlchemyEventStore) -> Iterator[Engine]:
    engine = application_engine(url_of(store))
    yield engine
    engine.dispose()
