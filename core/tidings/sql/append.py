"""Events into the table, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from tidings.errors import InvalidEventError, StoreNotReadyError, UnsafeStoreError
from tidings.event import NewEvent
from tidings.sql.database_errors import is_missing_table
from tidings.sql.event_log import EVENTS, EventLog
from tidings.sql.tables import event_append_lock
from tidings.sql.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOCK = (
    select(event_append_lock.c.lock_id).where(event_append_lock.c.lock_id == 1).with_for_update()
)

ASYNC = "sqlalchemy.ext.asyncio"


def event_row(new_event: NewEvent) -> dict[str, Any]:
    """Return the event as a row; raises :class:`~tidings.errors.InvalidEventError`."""
    if not isinstance(new_event, NewEvent):
        raise InvalidEventError(
            f"append takes NewEvent objects, not {type(new_event).__name__}; record() takes "
            "dataclasses, pydantic models and mappings."
        )
    return {
        "type_name": new_event.type_name,
        "body": new_event.body_text(),
        "occurred_on": new_event.occurred_on,
        "aggregate_id": new_event.aggregate_id,
        "metadata": new_event.metadata_text(),
    }


def core_connection(given: object, log: EventLog = EVENTS) -> Connection:
    """Return the connection that the caller's transaction runs on."""
    if isinstance(given, Connection):
        return given
    # Slow to import, and the relay does without; whoever has a session has imported it already.
    from sqlalchemy.orm import Session, scoped_session  # noqa: PLC0415

    if isinstance(given, scoped_session):
        given = given()
    if isinstance(given, Session):
        return given.connection(bind_arguments={"clause": log.table})
    name = type(given).__name__
    if any(base.__module__.startswith(ASYNC) for base in type(given).__mro__):
        raise TypeError(
            f"append writes at once, which cannot be done on an {name} without await: use "
            "`await session.run_sync(store.append, event)`, or record(), which writes at commit."
        )
    raise TypeError(f"append takes a SQLAlchemy Session or Connection, not {name}.")


def insert_rows(
    connection: Connection, rows: Sequence[dict[str, Any]], log: EventLog = EVENTS
) -> None:
    """Insert rows in their order, in the transaction that runs on ``connection``."""
    if not rows:
        return
    try:
        if connection.dialect.name in MYSQL:
            _lock_order(connection)
        log.insert(connection, rows)
    except DBAPIError as error:
        # Everything else is for the application, which knows what to do in its transaction.
        if is_missing_table(error):
            raise StoreNotReadyError(
                "The application's database lacks a table of tidings: run "
                "`tidings init --tables`, or your migration."
            ) from error
        raise


def _lock_order(connection: Connection) -> None:
    """Wait until every append before this one has committed or rolled back."""
    driver = connection.connection.driver_connection
    if getattr(driver, "get_autocommit", bool)():
        raise UnsafeStoreError(
            "Events cannot be appended on a MySQL connection in AUTOCOMMIT: their order would be "
            "lost. Use a transaction."
        )
    if connection.execute(_LOCK).one_or_none() is None:
        raise StoreNotReadyError(
            f"The table {event_append_lock.name!r} has lost its row: run `tidings init --tables`."
        )
