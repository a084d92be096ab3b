"""Event stores, and the application's engines for the same databases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool

from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings

if TYPE_CHECKING:
    import sqlite3

_urls: WeakKeyDictionary[SqlAlchemyEventStore, str] = WeakKeyDictionary()


def event_store(url: str) -> SqlAlchemyEventStore:
    """Return an event store for the database; `url_of` remembers which."""
    store = SqlAlchemyEventStore(SqlAlchemySettings(url=SecretStr(url)))
    _urls[store] = url
    return store


def url_of(store: SqlAlchemyEventStore) -> str:
    """Return the URL of a store that `event_store` made."""
    return _urls[store]


def application_engine(url: str) -> Engine:
    """Return an engine as an application would make it; each connection is a new one."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        let_sqlalchemy_begin(engine)
    return engine


def let_sqlalchemy_begin(engine: Engine) -> None:
    """Do as SQLAlchemy's page on SQLite asks those who use savepoints to."""
    event.listen(engine, "connect", _leave_transactions_alone)
    event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN"))


def version_1(dialect_name: str) -> list[str]:
    """Return the statements that make tables of version 1, with a little in them."""
    dump = (Path(__file__).parent / "version_1" / f"{dialect_name}.sql").read_text(encoding="utf-8")
    return [statement for statement in dump.split(";\n") if statement.strip()]


def _leave_transactions_alone(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
