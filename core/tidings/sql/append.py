"""Events into the table, in the caller's transaction."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, TwoPhaseTransaction, literal_column, select
from sqlalchemy.exc import DBAPIError

from tidings.errors import InvalidEventError, StoreNotReadyError, UnsafeStoreError
from tidings.event import NewEvent
from tidings.sql.character_sets import character_sets, refuse_unfit
from tidings.sql.event_log import EVENTS, EventLog, events_log
from tidings.sql.failures import is_missing_table
from tidings.sql.names import check_name, check_table_name
from tidings.sql.tables import event_append_lock
from tidings.sql.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Select

_USED = "tidings_events"

# What is sent is text of the first; what stands in a statement then becomes text of the second.
_IN_UTF8: ColumnElement[int] = literal_column(
    "@@character_set_client = 'utf8mb4' AND @@character_set_connection = 'utf8mb4'"
)


@cache
def _lock(schema: str | None) -> Select[Any]:
    lock = event_append_lock
    if schema is not None:
        lock = lock.to_metadata(MetaData(), schema=schema)
    return select(_IN_UTF8).where(lock.c.lock_id == 1).with_for_update()


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


def use_tables(engine: Any, *, table_name: str = "event", schema: str | None = None) -> None:
    """Let everything that is recorded through ``engine`` go to the event store's table there.

    For an application whose configuration has ``table_name`` or ``schema`` in ``[event_store]``:
    call it once, with the same, when the ``Engine`` or ``AsyncEngine`` is made.
    """
    names = {"table_name": check_table_name(table_name), "schema": schema and check_name(schema)}
    sync_engine = getattr(engine, "sync_engine", engine)
    sync_engine.update_execution_options(**{_USED: events_log(**names)})


def insert_rows(
    connection: Connection, rows: Sequence[dict[str, Any]], log: EventLog | None = None
) -> None:
    """Insert rows in their order, in the transaction that runs on ``connection``.

    Without a ``log`` into the table that its engine uses. Raises
    :class:`~tidings.errors.InvalidEventError`, before anything is sent, for text that the database
    has no characters for.
    """
    if not rows:
        return
    refuse_unfit(rows, character_sets(connection))
    log = log or connection.get_execution_options().get(_USED, EVENTS)
    in_digits = False
    try:
        if connection.dialect.name in MYSQL:
            in_utf8 = _lock_order(connection, log.table.schema)
            # What aiomysql does to send bytes fails with PyMySQL 1.2.
            in_digits = not in_utf8 or connection.dialect.driver == "aiomysql"
        log.insert(connection, rows, in_digits=in_digits)
    except DBAPIError as error:
        # Everything else is for the application, which knows what to do in its transaction.
        if is_missing_table(error):
            raise StoreNotReadyError(
                "The application's database lacks a table of tidings: run "
                "`tidings init --tables`, or your migration."
            ) from error
        raise


def _lock_order(connection: Connection, schema: str | None) -> bool:
    """Wait until every append before this one is over; return whether our text arrives as it is."""
    if isinstance(connection.get_transaction(), TwoPhaseTransaction):
        # A server that is restarted gives back to a prepared transaction the locks on the rows that
        # it has changed, and not this one. Readers would pass its own id with the next one.
        raise UnsafeStoreError(
            "On MySQL and MariaDB, events cannot be recorded in a two-phase transaction: once it "
            "is prepared, a restart of the server drops the lock that keeps the order of events, "
            "and they would be lost. Record them in a transaction of one phase."
        )
    row = connection.execute(_lock(schema)).one_or_none()
    if row is None:
        raise StoreNotReadyError(
            f"The table {event_append_lock.name!r} has lost its row: run `tidings init --tables`."
        )
    return bool(row[0])
