"""URLs, drivers and logins, and what people are told of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from tidings.errors import (
    ConfigurationError,
    EventStoreError,
    MissingLibraryError,
    StoreNotReadyError,
    StoreUnavailableError,
)
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings, sqlalchemy_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.given import DatabaseServer

SECRET = "s3cret"


def settings_of(url: str) -> SqlAlchemySettings:
    return SqlAlchemySettings(url=SecretStr(url))


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///events.db", "sqlite:///events.db"),
        ("sqlite+pysqlite:////a/b.db", "sqlite:////a/b.db"),
        ("postgresql://u:p@h:5/d", "postgresql+psycopg://u:p@h:5/d"),
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg://h/d?sslmode=require", "postgresql+psycopg://h/d?sslmode=require"),
        ("mysql://h/d", "mysql+pymysql://h/d"),
        ("mariadb://h/d", "mysql+pymysql://h/d"),
        ("mariadb+pymysql://h/d", "mysql+pymysql://h/d"),
    ],
)
def test_the_url_that_people_know_is_enough(given: str, used: str) -> None:
    assert sqlalchemy_url(settings_of(given).url) == used


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (f"oracle://u:{SECRET}@h/d", "names the database 'oracle', which tidings does not know"),
        (f"postgresql+asyncpg://u:{SECRET}@h/d", "names the driver 'asyncpg'"),
        (f"u:{SECRET}@h/d", "is not a database URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_wrong_url_is_a_sentence_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence) as caught:
        settings_of(url)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_a_port_that_is_no_number_is_a_sentence_without_the_password() -> None:
    with pytest.raises(ConfigurationError, match="is its port a number") as caught:
        SqlAlchemyEventStore(settings_of(f"postgresql://u:{SECRET}@h:port/d"))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("module", "url", "command"),
    [
        ("psycopg", "postgresql://h/d", "pip install 'tidings[postgresql]'"),
        ("pymysql", "mysql://h/d", "pip install 'tidings[mysql]'"),
    ],
)
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module: str, url: str, command: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingLibraryError) as caught:
        SqlAlchemyEventStore(settings_of(url))
    assert command in str(caught.value)


def test_nothing_shows_the_password(postgresql: DatabaseServer) -> None:
    url = make_url(postgresql.url).set(password=SECRET, username="nobody")
    settings = settings_of(url.render_as_string(hide_password=False))
    store = SqlAlchemyEventStore(settings)
    assert SECRET not in repr(settings) + repr(store) + repr(store.database) + store.database.name


def test_a_refused_login_names_the_database_and_not_the_password(
    mariadb: DatabaseServer,
) -> None:
    url = make_url(mariadb.url).set(password=SECRET, username="nobody")
    store = SqlAlchemyEventStore(settings_of(url.render_as_string(hide_password=False)))
    with pytest.raises(EventStoreError, match=r"refuses the login .*check user and password") as c:
        store.newest_event_id()
    assert "as user 'nobody'" in str(c.value)
    assert SECRET not in str(c.value)
    assert not c.value.passes


def test_a_user_that_postgresql_does_not_know_is_a_refused_login(
    postgresql: DatabaseServer,
) -> None:
    url = make_url(postgresql.url).set(username="nobody")
    store = SqlAlchemyEventStore(settings_of(url.render_as_string(hide_password=False)))
    with pytest.raises(EventStoreError, match="refuses the login"):
        store.newest_event_id()


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_missing_database_says_so(request: pytest.FixtureRequest, server: str) -> None:
    given: DatabaseServer = request.getfixturevalue(server)
    url = make_url(given.url).set(database="not_there")
    store = SqlAlchemyEventStore(settings_of(url.render_as_string(hide_password=False)))
    with pytest.raises(StoreNotReadyError, match=r"'not_there'.*create it"):
        store.newest_event_id()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_passes(scheme: str) -> None:
    store = SqlAlchemyEventStore(settings_of(f"{scheme}://u:{SECRET}@127.0.0.1:1/d"))
    with pytest.raises(StoreUnavailableError, match=r"at 127\.0\.0\.1:1 as user 'u'") as caught:
        store.newest_event_id()
    assert caught.value.passes
    assert SECRET not in str(caught.value)


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    store = SqlAlchemyEventStore(settings_of(f"sqlite:///{tmp_path / 'missing' / 'events.db'}"))
    with pytest.raises(StoreUnavailableError, match="is its folder there"):
        store.create()
