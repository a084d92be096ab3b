"""Events into the table, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import TwoPhaseTransaction
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

    from sqlalchemy import Connection

_USED = "tidings_events"


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
    connection: Connection, rows: Sequence[dict[str, Any]], event_log: EventLog | None = None
) -> None:
    """Insert rows in their order, in the transaction that runs on ``connection``.

    Without an ``event_log`` into the table that its engine uses. Raises
    :class:`~tidings.errors.InvalidEventError`, before anything is sent, for text that the database
    has no characters for.
    """
    if not rows:
        return
    refuse_unfit(rows, character_sets(connection))
    event_log = event_log or connection.get_execution_options().get(_USED, EVENTS)
    try:
        if connection.dialect.name in MYSQL:
            _insert_in_turn(connection, rows, event_log)
        else:
            event_log.insert(connection, rows)
    except DBAPIError as error:
        # Everything else is for the application, which knows what to do in its transaction.
        if is_missing_table(error):
            raise StoreNotReadyError(
                "The application's database lacks a table of tidings: run "
                "`tidings init --tables`, or your migration."
            ) from error
        raise


def _insert_in_turn(
    connection: Connection, rows: Sequence[dict[str, Any]], event_log: EventLog
) -> None:
    if isinstance(connection.get_transaction(), TwoPhaseTransaction):
        # A server that is restarted gives back to a prepared transaction the locks on the rows that
        # it has changed, and not this one. Readers would pass its own id with the next one.
        raise UnsafeStoreError(
            "On MySQL and MariaDB, events cannot be recorded in a two-phase transaction. A server "
            "that restarts after PREPARE drops the lock that keeps the order of events, and the "
            "relay would pass them. Record them in a transaction of one phase."
        )
    if not event_log.insert_in_turn(connection, rows):
        raise StoreNotReadyError(
            f"The table {event_append_lock.name!r} has lost its row: run `tidings init --tables`."
        )
