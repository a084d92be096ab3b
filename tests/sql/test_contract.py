"""The event store and the tracker keep every promise of their interfaces, on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyPublishedMessageTracker
from tidings.testing import EventStoreContract, PublishedMessageTrackerContract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.servers.given import DatabaseServer
    from tidings.testing.event_store import MakeStore
    from tidings.testing.tracker import MakeTracker

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


class OnMariaDB(OnServer):
    @pytest.fixture
    def url(self, mariadb: DatabaseServer) -> str:
        return mariadb.new_database()


class Stores(EventStoreContract):
    __test__ = False

    @pytest.fixture
    def make_store(self, url: str) -> MakeStore:
        return lambda via=None: SqlAlchemyEventStore(settings_for(url, via))


class Trackers(PublishedMessageTrackerContract):
    __test__ = False

    @pytest.fixture
    def make_tracker(self, url: str) -> MakeTracker:
        return lambda via=None: SqlAlchemyPublishedMessageTracker(settings_for(url, via))


class TestStoreOnSQLite(OnSQLite, Stores):
    __test__ = True
    concurrent_appends = False


class TestStoreOnPostgreSQL(OnPostgreSQL, Stores):
    __test__ = True


class TestStoreOnPostgreSQLThatWakes(OnPostgreSQL, Stores):
    __test__ = True

    @pytest.fixture
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
