"""Storing messages in the outbox, and taking them out, in the caller's transactions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import bindparam, delete, update

from tidings.errors import InvalidEventError, UnreadableEventError
from tidings.sql.append import event_row, insert_rows
from tidings.sql.callers_transaction import callers_connection
from tidings.sql.outbox.table import outbox_log
from tidings.sql.outbox.taking import take
from tidings.sql.recorded_event import as_new_event
from tidings.sql.settings import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from tidings.event import NewEvent, StoredEvent


class OutboxMessageSerializer(Protocol):
    """How the application's messages become rows, and rows messages again."""

    def serialize(self, message: Any) -> NewEvent:
        """Return what is to be stored for ``message``."""

    def unserialize(self, stored: StoredEvent) -> Iterable[Any]:
        """Return the one or many messages that were stored so: the place for upcasting."""


class RecordedEventSerializer:
    """Stores what ``record`` takes; gives back what was stored, as it is."""

    def serialize(self, message: Any) -> NewEvent:
        """Return the message as an event."""
        return as_new_event(message)

    def unserialize(self, stored: StoredEvent) -> Iterable[StoredEvent]:
        """Return what was stored, alone."""
        return (stored,)


@dataclass(frozen=True, slots=True)
class MessageInOutbox:
    """One row of the outbox."""

    row: StoredEvent | UnreadableEventError
    """What it holds, or why it cannot be read."""
    serializer: OutboxMessageSerializer

    @property
    def message_id(self) -> int:
        """The row's id, ascending."""
        return self.row.event_id

    @property
    def stored(self) -> StoredEvent:
        """What the row holds; raises ``UnreadableEventError`` if it cannot be read."""
        if isinstance(self.row, UnreadableEventError):
            raise self.row
        return self.row

    def messages(self) -> Iterator[Any]:
        """Give the one or many messages that the row stands for.

        Raises ``UnreadableEventError`` if it cannot be read. Until somebody mends it, or it is
        marked or removed, it waits; the others go on.
        """
        yield from self.serializer.unserialize(self.stored)


class OutboxMessageDispatcher:
    """Keeps messages in a table until somebody dispatches them.

    Works on ``connection``, a SQLAlchemy ``Session`` or ``Connection``, in the caller's
    transaction, and neither commits nor rolls back.

    **Several workers.** Rows that :meth:`retrieve_not_dispatched_messages` gave are kept from
    other workers until the end of the transaction; mark or remove them before it commits. So
    nothing is given twice, unless a worker ends between its dispatch and its commit. On PostgreSQL
    and MySQL the other workers pass over those rows; on SQLite they wait. One worker alone gets
    the messages in the order of their ids; several share that order out among themselves. On
    MySQL and MariaDB let workers use READ COMMITTED, or they keep writers waiting. Nor can a
    transaction then have a message that was committed after its first look: MariaDB from 11.6 on
    refuses it with error 1020. Roll back, and ask in a new one.

    ``clock`` gives the time that :meth:`mark_as_dispatched` notes. ``json_options`` are arguments
    of ``json.dumps`` for the body. ``aggregate_type`` is stored with each message: Debezium routes
    by it. ``schema`` is where the table is, if not where the connection begins.
    """

    def __init__(
        self,
        connection: Any,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        serializer: OutboxMessageSerializer | None = None,
        table_name: str = "outbox",
        json_options: Mapping[str, Any] | None = None,
        *,
        layout: Layout = Layout.TIDINGS,
        aggregate_type: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Take what it works with; asks the database nothing."""
        self._given = connection
        self._clock = clock
        self._serializer = serializer or RecordedEventSerializer()
        self._json_options = json_options
        self._aggregate_type = aggregate_type
        self._event_log = outbox_log(table_name, layout, schema)

    def dispatch(self, *messages: Any) -> None:
        """Store messages, in their order; raises, storing none, if one cannot be stored."""
        insert_rows(
            self._connection(), [self._row(message) for message in messages], self._event_log
        )

    def retrieve_not_dispatched_messages(self, limit: int) -> Sequence[MessageInOutbox]:
        """Return up to ``limit`` messages that wait, the oldest first, and keep others off them.

        Their bodies and metadata are 2 MiB at most, or one message; what else of ``limit`` waits is
        kept from others, too. What stands before a row that cannot be read is given first. Once
        such rows are the oldest, they come before the messages: beside ``limit``, a hundred at
        most.
        """
        connection = self._connection()
        table = self._event_log.table
        if connection.dialect.name == "sqlite":
            # The first statement that could write makes every other worker wait.
            connection.execute(update(table).where(table.c.event_id < 0).values(body=""))
        rows = take(connection, self._event_log, limit)
        return [MessageInOutbox(row, self._serializer) for row in rows]

    def mark_as_dispatched(self, messages: Iterable[MessageInOutbox]) -> None:
        """Note that the messages were dispatched; they stay in the table."""
        ids = [{"id": message.message_id} for message in messages]
        if ids:
            table = self._event_log.table
            statement = update(table).where(table.c.event_id == bindparam("id"))
            self._connection().execute(statement.values(dispatched_on=self._clock()), ids)

    def remove_from_outbox(self, messages: Iterable[MessageInOutbox]) -> None:
        """Delete the messages."""
        ids = [{"id": message.message_id} for message in messages]
        if ids:
            table = self._event_log.table
            self._connection().execute(
                delete(table).where(table.c.event_id == bindparam("id")), ids
            )

    def _connection(self) -> Connection:
        return callers_connection(
            self._given, self._event_log.table, "dispatcher.dispatch, message"
        )

    def _row(self, message: Any) -> dict[str, Any]:
        event = self._serializer.serialize(message)
        row = {**event_row(event), "aggregate_type": self._aggregate_type}
        if self._json_options:
            try:
                row["body"] = json.dumps(event.body, **self._json_options)
            except (TypeError, ValueError) as error:
                raise InvalidEventError(
                    f"JSON cannot hold the body of {event.type_name!r}: {error}"
                ) from error
        return row
