"""The event store and the tracker keep every promise of their interfaces, on each database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text
from typing_extensions import override

from tests.sql.databases import application_engine
from tidings.plugins import Capability, EventStore
from tidings.relay.shared_reader import SharedReader
from tidings.relay.shared_store import SharedStore
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.testing import EventStoreContract, PublishedMessageTrackerContract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.servers.given import DatabaseServer
    from tidings.testing import MakeStore, MakeTracker

STORE = frozenset({Capability.SCHEMA, Capability.PRUNE, Capability.RENUMBER, Capability.WAKE_UP})
PASSWORD = "s3cret-of-this-test"


def settings_for(
    url: str, via: tuple[str, int] | None, *, wake_up: bool = False
) -> SqlAlchemySettings:
    """Return settings for the database, with a password that the server has no use for."""
    parsed = make_url(url)
    if via is not None:
        parsed = parsed.set(host=via[0], port=via[1])
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(password=PASSWORD)
    whole = SecretStr(parsed.render_as_string(hide_password=False))
    return SqlAlchemySettings(url=whole, wake_up=wake_up)


NO_TIMES = {"sqlite": "yesterday", "postgresql": "infinity", "mysql": "0000-00-00"}


def spoil(url: str, event_id: int) -> None:
    """Give the event a time that Python cannot read."""
    engine = application_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "mysql":
            connection.execute(text("SET SESSION sql_mode = ''"))
        time = NO_TIMES[engine.dialect.name]
        connection.execute(
            text(f"UPDATE event SET occurred_on = '{time}' WHERE event_id = {event_id}")
        )
    engine.dispose()


def set_back(url: str) -> None:
    """Let ids begin again, as a careless restore does."""
    engine = application_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SELECT setval(pg_get_serial_sequence('event', 'event_id'), 1)"))
    engine.dispose()


class OnSQLite:
    has_link = False
    backend = "sqlalchemy"
    plugin_module = "tidings.builtin.plugin"

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'events.db'}"

    @pytest.fixture
    def settings(self, url: str) -> Mapping[str, Any]:
        return {"url": url}

    @pytest.fixture
    def replace(self, url: str) -> Callable[[], None]:
        def replace() -> None:
            Path(url.removeprefix("sqlite:///")).unlink()
            other = SqlAlchemyEventStore(settings_for(url, None))
            other.create()
            other.close()

        return replace


class OnServer:
    has_link = True
    backend = "sqlalchemy"
    plugin_module = "tidings.builtin.plugin"

    @pytest.fixture
    def server_address(self, url: str) -> tuple[str, int]:
        parsed = make_url(url)
        assert parsed.host is not None
        assert parsed.port is not None
        return parsed.host, parsed.port

    @pytest.fixture
    def settings(self, url: str) -> Mapping[str, Any]:
        return {"url": url}

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return (PASSWORD,)


class OnPostgreSQL(OnServer):
    @pytest.fixture
    def url(self, postgresql: DatabaseServer) -> str:
        return postgresql.new_database()

    @pytest.fixture
    def replace(self, url: str) -> Callable[[], None]:
        return lambda: set_back(url)


class OnMariaDB(OnServer):
    can_be_replaced = False  # ids are drawn in turn, and the position tells of a restore

    @pytest.fixture
    def url(self, mariadb: DatabaseServer) -> str:
        return mariadb.new_database()


class Stores(EventStoreContract):
    __test__ = False
    capabilities: ClassVar[frozenset[Capability]] = STORE

    @pytest.fixture
    @override
    def make_store(self, url: str) -> MakeStore:
        return lambda via=None: SqlAlchemyEventStore(settings_for(url, via))

    @pytest.fixture
    @override
    def spoil(self, url: str) -> Callable[[int], None]:
        return lambda event_id: spoil(url, event_id)


class Trackers(PublishedMessageTrackerContract):
    __test__ = False
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.QUARANTINE,
            Capability.NOTES,
            Capability.JOURNAL,
            Capability.PAUSE,
            Capability.SCHEMA,
        }
    )

    @pytest.fixture
    @override
    def make_tracker(self, url: str) -> MakeTracker:
        return lambda via=None: SqlAlchemyTracker(settings_for(url, via))


class TestStoreOnSQLite(OnSQLite, Stores):
    __test__ = True
    concurrent_appends = False


class TestStoreOnPostgreSQL(OnPostgreSQL, Stores):
    __test__ = True


class TestStoreOnPostgreSQLThatWakes(OnPostgreSQL, Stores):
    __test__ = True

    @pytest.fixture
    @override
    def make_store(self, url: str) -> MakeStore:
        return lambda via=None: SqlAlchemyEventStore(settings_for(url, via, wake_up=True))


class TestStoreOnMariaDB(OnMariaDB, Stores):
    __test__ = True
    concurrent_appends = False


class TestTrackerOnSQLite(OnSQLite, Trackers):
    __test__ = True


class TestTrackerOnPostgreSQL(OnPostgreSQL, Trackers):
    __test__ = True


class TestTrackerOnMariaDB(OnMariaDB, Trackers):
    __test__ = True


class Shared(Stores):
    """Views of one reader, as the exchanges of a relay have them."""

    __test__ = False

    @pytest.fixture
    @override
    def make_store(self, url: str) -> MakeStore:
        readers: dict[object, SharedReader] = {}

        def make(via: tuple[str, int] | None = None) -> EventStore:
            if via not in readers:
                readers[via] = SharedReader(
                    lambda: SqlAlchemyEventStore(settings_for(url, via)), poll_seconds=0.1
                )
            return SharedStore(readers[via])

        return make


class TestSharedStoreOnSQLite(OnSQLite, Shared):
    __test__ = True
    concurrent_appends = False


class TestSharedStoreOnPostgreSQL(OnPostgreSQL, Shared):
    __test__ = True


class TestSharedStoreOnMariaDB(OnMariaDB, Shared):
    __test__ = True
    concurrent_appends = False
