"""The event store in a SQL database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from tidings.errors import EventStoreError
from tidings.interfaces import Capability, EventStore, Waited
from tidings.shown import escaping_logger
from tidings.sql import schema
from tidings.sql.append import event_row, insert_rows
from tidings.sql.callers_transaction import callers_connection
from tidings.sql.commit_order import commit_order
from tidings.sql.database import Database
from tidings.sql.event_log import EVENTS, EventLog, events_log
from tidings.sql.probe import Probe
from tidings.sql.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from sqlalchemy import Connection

    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import Hold
    from tidings.sql.settings import SqlAlchemySettings
    from tidings.sql.wake_up import WakeUp

log = escaping_logger(__name__)

LISTEN_AGAIN = 2.0
"""Seconds until a reader whose database could not tell of commits asks it again."""

Result = TypeVar("Result")


class SqlAlchemyEventStore(EventStore):
    """Keeps events in the table ``event`` of SQLite, PostgreSQL, MySQL or MariaDB.

    Reads on one connection of its own, in autocommit; a connection that failed is dropped, and
    the next call connects anew. Raises :class:`~tidings.errors.MissingLibraryError` if the
    database's driver isn't installed.
    """

    def __init__(self, settings: SqlAlchemySettings, event_log: EventLog | None = None) -> None:
        """Take the settings; connects to nothing. ``event_log``: by default the settings' table."""
        self.capabilities = frozenset(
            {Capability.SCHEMA, Capability.PRUNE, Capability.RENUMBER, Capability.WAKE_UP}
        )
        event_log = event_log or events_log(settings.table_name, settings.db_schema)
        self._event_log = event_log
        self._settings = settings
        self._database = Database(settings)
        self._order = commit_order(self._database.dialect_name, event_log)
        self._reader = Reader(event_log, self._order, self._database.name, self._read)
        self._connection: Connection | None = None
        self._wake_up = self._new_wake_up()
        self._teller = self._wake_up or Probe(self._database.dialect_name, event_log)
        self._deaf_until = 0.0

    @property
    def event_log(self) -> EventLog:
        """The table that it reads, and its statements."""
        return self._event_log

    @property
    def database(self) -> Database:
        """The database it is kept in."""
        return self._database

    @override
    def append(self, connection: Any, *events: NewEvent) -> None:
        """Store ``events``, in their order, in the caller's transaction.

        ``connection`` is a SQLAlchemy ``Session`` or ``Connection``, of any driver; from asyncio:
        ``await session.run_sync(store.append, event)``. What the database says against it comes as
        SQLAlchemy's own error, because the transaction is the caller's.
        """
        rows = [event_row(event) for event in events]
        target = callers_connection(connection, self._event_log.table, "store.append, event")
        insert_rows(target, rows, self._event_log)

    @override
    def transaction(self) -> AbstractContextManager[Connection]:
        """Begin a transaction of the store's own for :meth:`append`: commits, or rolls back."""
        return self._database.transaction()

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """Return up to ``limit`` events with an id greater than ``event_id``, ascending.

        Their bodies and metadata are 2 MiB at most, or one event.
        """
        return self._reader.events_since(event_id, limit)

    @override
    def stored_event(self, event_id: int) -> StoredEvent | None:
        return self._reader.event(event_id)

    @override
    def newest_event_id(self) -> int | None:
        return self._read(self._event_log.newest_id)

    @override
    def oldest_event_id(self) -> int | None:
        return self._read(self._event_log.oldest_id)

    @override
    def count_stored_events_since(self, event_id: int) -> int:
        """Return how many events have an id greater than ``event_id``; reads their index."""
        return self._read(lambda connection: self._event_log.count_since(connection, event_id))

    @override
    def count_stored_events_between(self, after: int, up_to: int, most: int) -> int:
        return self._read(lambda found: self._event_log.count_between(found, after, up_to, most))

    @override
    def hold(self) -> Hold | None:
        return self._read(self._order.hold)

    @override
    def wait(self, seconds: float) -> Waited:
        """Wait for a commit: asks the database all the while, or is woken if the settings say so.

        It cannot tell if the connection was lost, which the next read finds out and says.
        """
        if self._connection is None or time.monotonic() < self._deaf_until:
            return Waited.CANNOT_TELL
        try:
            return self._read(lambda connection: self._teller.wait(connection, seconds))
        except EventStoreError as error:
            log.debug("%s tells of no commit just now: %s", self._database.name, error)
            self._deaf_until = time.monotonic() + LISTEN_AGAIN
            return Waited.CANNOT_TELL

    @override
    def prune(
        self,
        up_to: int,
        *,
        keep: int = 1,
        occurred_before: datetime | None = None,
        dry_run: bool = False,
    ) -> int:
        from tidings.sql.retention import prune  # noqa: PLC0415 - a relay needs none of it

        return prune(
            self._database,
            self._order,
            up_to,
            keep=keep,
            occurred_before=occurred_before,
            dry_run=dry_run,
        )

    @override
    def create(self) -> None:
        schema.create(self._database, self._event_log)
        if self._wake_up is not None:
            self._wake_up.create(self._database)

    @override
    def identity(self) -> str:
        """Return what the database's tables bear; an outbox has its own beside the event store.

        It is the same one whether the settings name the schema or leave it out.
        """
        store, name = self._read(schema.identity), self._event_log.table.name
        return store if name == EVENTS.table.name or not store else f"{store}.{name}"

    @override
    def migrate(self, *, dry_run: bool = False) -> str:
        from tidings.sql.migration import migrate  # noqa: PLC0415 - needed once in a lifetime

        return migrate(self._database, self._event_log, dry_run=dry_run)

    @override
    def ddl(self) -> str:
        return schema.ddl(
            self._database.dialect_name, self._event_log, wake_up=self._settings.wake_up
        )

    @override
    def check(self) -> None:
        """Raise if the tables aren't as they must be, or the order of commits is not kept."""
        with self._database.autocommit() as connection:
            schema.check(connection, self._database, self._event_log)
            self._order.check(connection)
            if self._wake_up is not None:
                self._wake_up.check(connection, self._database.name)

    @override
    def watch(self) -> None:
        """Raise if the file was replaced, or PostgreSQL's sequence was set below the newest id.

        That the file was, every read notices as well. On MySQL and MariaDB: if the server became
        read-only, or the row that appends lock has gone.
        """
        self._read(self._order.watch)

    @override
    def renumber(self) -> list[int]:
        """Give events new ids that readers would pass, as PostgreSQL's sequence was set back."""
        with self._database.transaction() as connection:
            return self._order.renumber(connection)

    @override
    def close(self) -> None:
        self._drop_connection()
        self._database.close()

    def _new_wake_up(self) -> WakeUp | None:
        if not self._settings.wake_up:
            return None
        from tidings.sql.wake_up import WakeUp  # noqa: PLC0415 - imports PostgreSQL's driver

        return WakeUp(self._event_log)

    def _read(self, query: Callable[[Connection], Result]) -> Result:
        with self._database.errors():
            try:
                if self._connection is None:
                    self._connection = self._database.connect()
                    self._order.begin(self._connection)
                    self._teller.begin()
                self._database.refuse_another_file(self._connection)
                return query(self._connection)
            except BaseException:
                # Also if we were interrupted: the answer to our question may still come.
                self._drop_connection()
                raise

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
