"""The statements that read and write a table of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, true

from tidings.event import StoredEvent
from tidings.sql.tables import event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Table


class EventLog:
    """A table of events in the order of their ids: the event store's, or an outbox.

    ``table`` has columns with the keys of :class:`~tidings.event.StoredEvent`'s fields, whatever
    their names. ``pending`` says which of its events are still to be given to a reader.
    """

    def __init__(self, table: Table, pending: ColumnElement[bool] | None = None) -> None:
        """Prepare the statements."""
        self.table = table
        self._insert = insert(table).inline()  # nobody asks for the new id
        fields = select(*(table.c[field] for field in StoredEvent._fields))
        still = true() if pending is None else pending
        after = table.c.event_id > bindparam("since")
        self._since = (
            fields.where(after, still).order_by(table.c.event_id).limit(bindparam("limit"))
        )
        self._count = select(func.count()).select_from(table).where(after, still)
        self._one = fields.where(table.c.event_id == bindparam("id"))
        self._newest = select(func.max(table.c.event_id))

    def insert(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, so that their ids ascend in their order."""
        connection.execute(self._insert, rows[0] if len(rows) == 1 else list(rows))

    def events_since(self, connection: Connection, since: int, limit: int) -> list[StoredEvent]:
        """Return what is visible after ``since``, ascending: one indexed range query."""
        rows = connection.execute(self._since, {"since": since, "limit": limit})
        return list(map(StoredEvent._make, rows))

    def one_event(self, connection: Connection, event_id: int) -> StoredEvent | None:
        """Return the event of that id."""
        row = connection.execute(self._one, {"id": event_id}).one_or_none()
        return None if row is None else StoredEvent._make(row)

    def newest_id(self, connection: Connection) -> int | None:
        """Return the greatest id that is visible."""
        newest: int | None = connection.execute(self._newest).scalar_one()
        return newest

    def count_since(self, connection: Connection, since: int) -> int:
        """Return how many events are visible after ``since``."""
        return connection.execute(self._count, {"since": since}).scalar_one()


EVENTS = EventLog(event)
"""The event store's own table."""
