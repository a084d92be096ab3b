"""The transaction of the caller: its connection, and whether it is one that can be rolled back."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, exists, update
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.util.concurrency import in_greenlet

from tidings.errors import EventStoreError, UnsafeStoreError
from tidings.sql.plain_tables import inbox_metadata, metadata

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, SessionTransaction
    from sqlalchemy.sql.dml import Update


def callers_connection(given: object, table: Table, call: str) -> Connection:
    """Return the connection on which the caller's transaction writes to ``table``.

    ``given`` is a ``Session``, a ``scoped_session`` or a ``Connection``; ``call`` is what its
    owner called, for the error: ``"store.append, event"``. Raises
    :class:`~tidings.errors.UnsafeStoreError` if what is written could not be rolled back.
    """
    connection = _connection(given, table, call)
    refuse_unsafe(connection)
    return connection


def session_bind(session: Session, table: Table) -> Engine | Connection:
    """Return what the session would write to ``table`` through."""
    try:
        return session.get_bind(clause=writing(table))
    except UnboundExecutionError as error:
        raise _unbound(table) from error


def transaction_connection(transaction: SessionTransaction, table: Table) -> Connection:
    """Return the connection on which a session's transaction writes to ``table``.

    Also if the session itself gives none just now, as in a savepoint's last hooks.
    """
    try:
        return transaction.connection(None, clause=writing(table))
    except UnboundExecutionError as error:
        raise _unbound(table) from error


def _session_connection(session: Session, table: Table) -> Connection:
    try:
        return session.connection(bind_arguments={"clause": writing(table)})
    except UnboundExecutionError as error:
        raise _unbound(table) from error


def _unbound(table: Table) -> EventStoreError:
    return EventStoreError(
        f"This session does not know in which database the table {table.name!r} is: its binds are "
        "for other classes and tables. Give it the engine of the database whose changes it tells "
        "of: Session(bind=engine, binds={...})."
    )


@cache
def writing(table: Table) -> Update:
    """Return what tells a session that its connection will be written to.

    SQLAlchemy's recipe for sessions that read from replicas knows a writer by its UPDATE or
    DELETE; an INSERT it expects from a flush alone. One with ``binds`` looks for the tables that
    it is about: those that applications get from us are copies.
    """
    shown = [m.tables[table.key] for m in (metadata, inbox_metadata) if table.key in m.tables]
    return update(table).where(*(exists().select_from(copy) for copy in shown))


def async_sessions() -> tuple[type[AsyncSession], type[async_scoped_session[Any]]] | None:
    """Return SQLAlchemy's ``AsyncSession`` and ``async_scoped_session``, if they are in use."""
    module = sys.modules.get("sqlalchemy.ext.asyncio")  # slow to import; most do without
    return None if module is None else (module.AsyncSession, module.async_scoped_session)


def may_connect(dialect: Dialect) -> bool:
    """Return whether the database can be asked just now; not if that would have to be awaited."""
    # In this order: `in_greenlet` raises if greenlet isn't installed. Only asyncio needs greenlet.
    return not dialect.is_async or in_greenlet()


def is_async(given: object) -> bool:
    """Return whether ``given`` is one of SQLAlchemy's objects for asyncio."""
    return any(base.__module__.startswith("sqlalchemy.ext.asyncio") for base in type(given).__mro__)


def refuse_unsafe(connection: Connection) -> None:
    """Raise if the connection has no transaction that would roll back what is written."""
    if not connection.in_transaction():
        connection.begin()  # as the first statement would: only then the driver's word counts
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        raw = _sqlite(connection)
        by_itself = raw.isolation_level is None or getattr(raw, "autocommit", None) is True
        at_once = by_itself and not raw.in_transaction
    else:
        at_once = _is_autocommit(connection)
    if at_once:
        raise UnsafeStoreError(
            "This connection is in AUTOCOMMIT: what is written would stay whatever becomes of "
            "your transaction, and on MySQL the order of events would be lost. Use a transaction: "
            "take AUTOCOMMIT out of the options of the engine or connection."
        )
    if sqlite and connection.in_nested_transaction() and _begins_no_transaction(connection):
        raise UnsafeStoreError(
            "A savepoint on this SQLite connection is no part of your transaction: Python's "
            "driver begins none before it, and its release would commit. Let SQLAlchemy send "
            'BEGIN, as its page on SQLite says under "Enabling Non-Legacy SQLite Transactional '
            'Modes", or do without the savepoint.'
        )


def _is_autocommit(connection: Connection) -> bool:
    """Return what the driver says of its connection, which is not SQLite's."""
    adapted: Any = connection.connection.dbapi_connection
    real: Any = connection.connection.driver_connection
    # SQLAlchemy 2.0.30 does not pass the question on to aiomysql and asyncmy; there `autocommit`
    # is a method that sets it.
    for driver in (adapted, real):
        if hasattr(driver, "get_autocommit"):
            return bool(driver.get_autocommit())
    return bool(getattr(adapted, "autocommit", False))


def _begins_no_transaction(connection: Connection) -> bool:
    driver = _sqlite(connection)
    # Python 3.12 has a mode in which a transaction is always open.
    return driver.isolation_level is not None and getattr(driver, "autocommit", None) is not False


def _sqlite(connection: Connection) -> Any:
    driver = connection.connection.driver_connection
    return getattr(driver, "_conn", driver)  # aiosqlite's, which shows not all of sqlite3's


def _connection(given: object, table: Table, call: str) -> Connection:
    if isinstance(given, Connection):
        return given
    # Slow to import, and the relay does without; whoever has a session has imported it already.
    from sqlalchemy.orm import Session, scoped_session  # noqa: PLC0415

    if isinstance(given, scoped_session):
        given = given()
    if isinstance(given, Session):
        return _session_connection(given, table)
    name = type(given).__name__
    verb = call.partition(",")[0].rpartition(".")[2]
    if is_async(given):
        owner = "connection" if "Connection" in name else "session"
        raise TypeError(
            f"{verb} writes at once, which cannot be done on an {name} without await: use "
            f"`await {owner}.run_sync({call})`."
        )
    raise TypeError(f"{verb} takes a SQLAlchemy Session or Connection, not {name}.")
