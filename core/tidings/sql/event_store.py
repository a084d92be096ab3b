"""The event store in a SQL database."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from tidings.errors import EventStoreError
from tidings.interfaces import EventStore
from tidings.sql import schema
from tidings.sql.append import core_connection, event_row, insert_rows
from tidings.sql.commit_order import commit_order
from tidings.sql.connection import Database
from tidings.sql.event_log import EVENTS, EventLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import Hold
    from tidings.sql.settings import SqlAlchemySettings
    from tidings.sql.wake_up import WakeUp

logger = logging.getLogger(__name__)

LISTEN_AGAIN = 2.0
"""Seconds until a reader that could not listen tries to again."""

Result = TypeVar("Result")


class SqlAlchemyEventStore(EventStore):
    """Keeps events in the table ``event`` of SQLite, PostgreSQL, MySQL or MariaDB.

    Reads on one connection of its own, in autocommit; a connection that failed is dropped, and
    the next call connects anew. Raises :class:`~tidings.errors.MissingLibraryError` where the
    database's driver isn't installed.
    """

    def __init__(self, settings: SqlAlchemySettings, log: EventLog = EVENTS) -> None:
        """Take the settings; connects to nothing."""
        self._log = log
        self._settings = settings
        self._database = Database(settings)
        self._order = commit_order(self._database.dialect_name, log)
        self._connection: Connection | None = None
        self._wake_up = self._new_wake_up()
        self._deaf_until = 0.0

    @property
    def database(self) -> Database:
        """The database it is kept in."""
        return self._database

    def append(self, connection: Any, *events: NewEvent) -> None:
        """Store ``events``, in their order, in the caller's transaction.

        ``connection`` is a SQLAlchemy ``Session`` or ``Connection``, of any driver; from asyncio:
        ``await session.run_sync(store.append, event)``. What the database says against it comes
        as SQLAlchemy's own error, since the transaction is the caller's.
        """
        rows = [event_row(event) for event in events]
        insert_rows(core_connection(connection, self._log), rows, self._log)

    def transaction(self) -> AbstractContextManager[Connection]:
        """Begin a transaction of the store's own for :meth:`append`: commits, or rolls back."""
        return self._database.transaction()

    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """Return up to ``limit`` events with an id greater than ``event_id``, ascending."""
        return self._read(lambda c: self._order.events_since(c, event_id, limit))

    def stored_event(self, event_id: int) -> StoredEvent | None:
        """Return the event of that id, or ``None`` where there is none (any more)."""
        return self._read(lambda connection: self._log.one_event(connection, event_id))

    def newest_event_id(self) -> int | None:
        """Return the greatest id stored and visible, or ``None`` in an empty store."""
        return self._read(self._log.newest_id)

    def count_stored_events_since(self, event_id: int) -> int:
        """Return how many events have an id greater than ``event_id``; reads their index."""
        return self._read(lambda connection: self._log.count_since(connection, event_id))

    def hold(self) -> Hold | None:
        """Return what holds this reader since its last read, or ``None``."""
        return self._read(self._order.hold)

    def wait(self, seconds: float) -> bool | None:
        """Wait for events where the settings ask for the wake-up; ``None`` where they don't.

        Also ``None`` where the connection was lost, which the next read finds out and tells.
        """
        wake_up = self._wake_up
        if wake_up is None or self._connection is None or time.monotonic() < self._deaf_until:
            return None
        try:
            return self._read(lambda connection: wake_up.wait(connection, seconds))
        except EventStoreError as error:
            logger.debug("%s wakes nobody just now: %s", self._database.name, error)
            self._deaf_until = time.monotonic() + LISTEN_AGAIN
            return None

    def create(self) -> None:
        """Create the tables, where they aren't there yet. Idempotent."""
        schema.create(self._database, self._log)
        if self._wake_up is not None:
            self._wake_up.create(self._database)

    def ddl(self) -> str:
        """Return the statements that :meth:`create` runs on this database."""
        return schema.ddl(self._settings, self._log)

    def check(self) -> None:
        """Raise where the tables aren't as they must be, or the order of commits is not kept."""
        with self._database.autocommit() as connection:
            schema.check(connection, self._database, self._log)
            self._order.check(connection)
            if self._wake_up is not None:
                self._wake_up.check(connection, self._database.name)

    def close(self) -> None:
        """Give back connections. Idempotent; the store may be used again."""
        self._drop_connection()
        self._database.close()

    def _new_wake_up(self) -> WakeUp | None:
        if not self._settings.wake_up:
            return None
        from tidings.sql.wake_up import WakeUp  # noqa: PLC0415 - imports PostgreSQL's driver

        return WakeUp(self._log)

    def _read(self, query: Callable[[Connection], Result]) -> Result:
        with self._database.errors():
            try:
                if self._connection is None:
                    self._connection = self._database.connect()
                    self._order.begin(self._connection)
                    if self._wake_up is not None:
                        self._wake_up.begin()
                return query(self._connection)
            except BaseException:
                # Also where we were interrupted: the answer to our question may still come.
                self._drop_connection()
                raise

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
