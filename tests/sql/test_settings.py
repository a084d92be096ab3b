"""URLs, drivers and logins, and what people are told of them."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url, text

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
TELLS_OF_EACH_HOST = (3, 2, 8)
"""From this version on psycopg gives each host's reason; before, the last one's."""


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
        ("postgresql+asyncpg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg://h/d"),
        ("mysql+aiomysql://h/d", "mysql+pymysql://h/d"),
        ("mariadb+asyncmy://h/d", "mysql+pymysql://h/d"),
        ("sqlite+aiosqlite:///events.db", "sqlite:///events.db"),
    ],
)
def test_the_url_that_people_know_is_enough(given: str, used: str) -> None:
    assert sqlalchemy_url(settings_of(given).url) == used


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (f"oracle://u:{SECRET}@h/d", "names the database 'oracle', which tidings does not know"),
        (f"postgresql+odbc://u:{SECRET}@h/d", "names the driver 'odbc'"),
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


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("postgresql://u@/d?host=h1:5&host=h2:6", "at h1:5, h2:6 as user 'u'"),
        ("postgresql://u@/d?host=h1,h2&port=5,6", "at h1:5, h2:6 as user 'u'"),
        ("postgresql://u:p,p@h1:5,h2:6/d?sslmode=require", "at h1:5, h2:6 as user 'u'"),
        ("postgresql+asyncpg://h1,h2/d", "'d' at h1, h2"),
        ("postgresql://u@[::1]:5,h2/d", "at ::1:5, h2 as user 'u'"),
        ("postgresql:///d?host=/run/pg", "at /run/pg"),
        ("postgresql:///?service=shop", "at the service 'shop'"),
        ("postgresql:///d", "at localhost"),
        ("mysql://u@/d?unix_socket=/run/my.sock", "at the socket /run/my.sock as user 'u'"),
        ("mysql://h:5/d", "at h:5"),
    ],
)
def test_every_host_of_the_url_is_named(url: str, at: str) -> None:
    store = SqlAlchemyEventStore(settings_of(url))
    assert at in store.database.name


def test_the_next_host_is_tried_where_one_is_down(postgresql: DatabaseServer) -> None:
    url = make_url(postgresql.url)
    down_first = f"postgresql://{url.username}@127.0.0.1:1,127.0.0.1:{url.port}/{url.database}"
    store = SqlAlchemyEventStore(settings_of(down_first))
    with store.transaction() as connection:
        assert connection.in_transaction()
    store.close()


def test_where_all_hosts_are_down_each_is_named_with_its_reason() -> None:
    store = SqlAlchemyEventStore(settings_of(f"postgresql://u:{SECRET}@127.0.0.1:1,127.0.0.1:2/d"))
    with pytest.raises(StoreUnavailableError, match=r"at 127\.0\.0\.1:1, 127\.0\.0\.1:2") as caught:
        store.newest_event_id()
    psycopg = tuple(map(int, version("psycopg").split(".")[:3]))
    told = 2 if psycopg >= TELLS_OF_EACH_HOST else 1
    assert str(caught.value).count("onnection refused") >= told
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        "prepare_threshold=0",
        "prepare_threshold=None",
        "prepared_statement_cache_size=0&command_timeout=60",
        "ssl=prefer",
        "autocommit=false",
    ],
)
def test_postgresqls_driver_gets_options_of_the_right_kind(
    postgresql: DatabaseServer, options: str
) -> None:
    store = SqlAlchemyEventStore(settings_of(f"{postgresql.url}?{options}"))
    for _often_enough_to_be_prepared in range(3):
        with store.transaction() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
    store.close()


@pytest.mark.parametrize(
    "options",
    ["max_allowed_packet=1000000&ssl_disabled=true", "collation=latin1_bin&binary_prefix=1"],
)
def test_mysqls_driver_gets_options_of_the_right_kind(
    mariadb: DatabaseServer, options: str
) -> None:
    store = SqlAlchemyEventStore(settings_of(f"{mariadb.url}&{options}"))
    with store.transaction() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    store.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://h/d?prepare_threshold=often", "prepare_threshold that must be a whole num"),
        ("postgresql://h/d?autocommit=perhaps", "autocommit that must be true or false"),
        ("mysql://h/d?read_timeout=long", "read_timeout that must be a whole number"),
        ("sqlite:///events.db?timeout=long", "cannot be read"),
        ("postgresql://h/d?host=a:b&host=c:d", "cannot be read"),
    ],
)
def test_an_option_of_the_wrong_kind_is_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        SqlAlchemyEventStore(settings_of(url))


@pytest.mark.parametrize(
    ("url", "kind", "sentence"),
    [
        ("mysql://h/d?colour=red", ConfigurationError, "unexpected keyword argument 'colour'"),
        ("mysql://h/d?ssl=yes", ConfigurationError, "options in its url"),
        ("mysql://h/d?ssl_ca=/not/there.pem", StoreUnavailableError, "are the files there"),
        (
            "postgresql://127.0.0.1/d?colour=red",
            EventStoreError,
            'invalid connection option "colour"',
        ),
    ],
)
def test_an_option_that_the_driver_does_not_take_is_a_sentence(
    url: str, kind: type[Exception], sentence: str
) -> None:
    store = SqlAlchemyEventStore(settings_of(url))
    with pytest.raises(kind, match=sentence):
        store.newest_event_id()


def test_a_password_among_the_options_is_not_shown() -> None:
    store = SqlAlchemyEventStore(settings_of(f"postgresql://127.0.0.1:1/d?password={SECRET}&x=1"))
    with pytest.raises(EventStoreError) as caught:
        store.newest_event_id()
    assert SECRET not in str(caught.value) + store.database.name


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
    assert not c.value.transient


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
    assert caught.value.transient
    assert SECRET not in str(caught.value)


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    store = SqlAlchemyEventStore(settings_of(f"sqlite:///{tmp_path / 'missing' / 'events.db'}"))
    with pytest.raises(StoreUnavailableError, match="is its folder there"):
        store.create()
