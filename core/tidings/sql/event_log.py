"""The statements that read and write a table of events."""

from __future__ import annotations

from functools import cache, cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    MetaData,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    true,
)
from sqlalchemy.sql.schema import RETAIN_SCHEMA

from tidings.event import StoredEvent
from tidings.sql.many_rows import ManyRows
from tidings.sql.tables import event, event_append_lock
from tidings.sql.types import ByteLength, as_it_is_kept, in_base64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Insert, Select, Table


FETCHED_TOGETHER = 32
"""Rows that a driver is asked for at once, which takes less than one by one."""

_BODY = itemgetter(StoredEvent._fields.index("body"))


class EventId(NamedTuple):
    """What every row can be read as."""

    event_id: int


class EventLog:
    """A table of events in the order of their ids: the event store's, or an outbox.

    ``table`` has columns with the keys of :class:`~tidings.event.StoredEvent`'s fields, whatever
    their names. ``pending`` says which of its events are still to be given to a reader.

    ``takes``: it reads in the transaction of somebody who takes events out of it. What is read is
    kept from others until that ends, and what others keep is passed over. ``any_charset``: the
    connection may be of any character set, and of MySQL.

    Rows are what anybody has written there. If one cannot be read, what reads it raises whatever
    the driver, or a column's type, has to say.
    """

    def __init__(
        self,
        table: Table,
        pending: ColumnElement[bool] | None = None,
        *,
        takes: bool = False,
        any_charset: bool = False,
    ) -> None:
        """Prepare the statements."""

        def whole(field: ColumnElement[Any]) -> ColumnElement[Any]:
            return as_it_is_kept(field) if any_charset else field

        def reading(*fields: ColumnElement[Any]) -> Select[Any]:
            statement = select(*fields)
            return statement.with_for_update(skip_locked=True) if takes else statement

        self.table = table
        self.pending = pending
        self._insert = insert(table).inline()  # nobody asks for the new id
        fields = [whole(table.c[field]) for field in StoredEvent._fields]
        body, metadata = table.c.body, table.c.metadata
        still = true() if pending is None else pending
        after = table.c.event_id > bindparam("since")
        up_to = table.c.event_id <= bindparam("last")
        most = bindparam("most_bytes", type_=BigInteger())
        size = ByteLength(body) + func.coalesce(ByteLength(metadata), literal(0))
        small = size <= most
        withheld = {"body": case((small, body)), "metadata": case((small, metadata))}
        if_small = [whole(withheld.get(name, table.c[name])) for name in StoredEvent._fields]
        self._since = (
            reading(*if_small)
            .where(after, still)
            .order_by(table.c.event_id)
            .limit(bindparam("limit"))
        )
        self._ids = (
            reading(table.c.event_id)
            .where(after, still)
            .order_by(table.c.event_id)
            .limit(bindparam("limit"))
        )
        self._between = reading(*fields).where(after, up_to, still).order_by(table.c.event_id)
        self._sizes = (
            reading(table.c.event_id, size)
            .where(after, still)
            .order_by(table.c.event_id)
            .limit(bindparam("limit"))
        )
        self._count = select(func.count()).select_from(table).where(after, still)
        some = select(literal(1)).select_from(table).where(after, up_to, still)
        limited = some.limit(bindparam("most", type_=BigInteger())).subquery()
        self._count_some = select(func.count()).select_from(limited)
        this = table.c.event_id == bindparam("id")
        self._one = reading(*fields).where(this)
        self._field = {
            name: reading(field).where(this)
            for name, field in zip(StoredEvent._fields, fields, strict=True)
        }
        self._newest = select(func.max(table.c.event_id))
        self._oldest = select(func.min(table.c.event_id)).where(still)

    def insert(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, so that their ids ascend in their order."""
        connection.execute(self._insert, rows[0] if len(rows) == 1 else list(rows))

    def insert_in_turn(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> bool:
        """Insert rows once every append before this one is over: MySQL's way.

        The first row's statement locks the row of ``event_append_lock``, and then draws an id.
        Return false, with nothing inserted, if that row is missing.
        """
        first = self._nothing | rows[0]
        if not connection.execute(self._insert_first, first).rowcount:
            return False
        if len(rows) > 1:
            self._others.insert(connection, rows[1:])
        return True

    @cached_property
    def _nothing(self) -> dict[str, Any]:
        recorded = (*StoredEvent._fields[1:], "aggregate_type")
        return {name: None for name in recorded if name in self.table.c}

    @cached_property
    def _insert_first(self) -> Insert:
        table = in_base64(self.table)
        lock = event_append_lock.to_metadata(MetaData(), schema=table.schema or RETAIN_SCHEMA)
        values = [bindparam(name, type_=table.c[name].type) for name in self._nothing]
        # Its row is read, and so locked, before there is anything to insert.
        turn = select(*values).select_from(lock).where(lock.c.lock_id == 1).with_for_update()
        statement = insert(table).from_select(list(self._nothing), turn)
        # Without it, SQLAlchemy keeps the count of an INSERT only if its cursor happens to.
        return statement.execution_options(preserve_rowcount=True)

    @cached_property
    def _others(self) -> ManyRows:
        return ManyRows(self.table, list(self._nothing))

    def events_since(
        self, connection: Connection, since: int, limit: int, most_bytes: int
    ) -> list[StoredEvent]:
        """Return what is visible after ``since``, ascending: one indexed range query.

        Body and metadata above ``most_bytes`` are not fetched: that row's ``body`` is ``None``. Few
        rows follow the first of those. SQLite measures a row by reading it, when it is asked for.
        """
        asked = {"since": since, "limit": limit, "most_bytes": most_bytes}
        events: list[StoredEvent] = []
        with connection.execute(self._since, asked) as found:
            for rows in found.partitions(FETCHED_TOGETHER):
                events += map(StoredEvent._make, rows)
                if None in map(_BODY, rows):
                    break
        return events

    def ids_since(self, connection: Connection, since: int, limit: int) -> list[EventId]:
        """Return the ids of what is visible after ``since``, ascending."""
        rows = connection.execute(self._ids, {"since": since, "limit": limit})
        return list(map(EventId._make, rows))

    def events_between(self, connection: Connection, since: int, last: int) -> list[StoredEvent]:
        """Return what is visible after ``since`` up to ``last``, ascending, whatever its size."""
        rows = connection.execute(self._between, {"since": since, "last": last})
        return list(map(StoredEvent._make, rows))

    def ids_that_fit(
        self, connection: Connection, since: int, limit: int, most_bytes: int
    ) -> list[EventId]:
        """Return the ids of what is visible after ``since``, as far as it may be read at once.

        That is as far as bodies and metadata have ``most_bytes`` together, or one event.
        """
        ids: list[EventId] = []
        total = 0
        with connection.execute(self._sizes, {"since": since, "limit": limit}) as found:
            for event_id, size in found:
                total += size or 0
                if ids and total > most_bytes:
                    break
                ids.append(EventId(event_id))
        return ids

    def one_event(self, connection: Connection, event_id: int) -> StoredEvent | None:
        """Return the event of that id."""
        row = connection.execute(self._one, {"id": event_id}).one_or_none()
        return None if row is None else StoredEvent._make(row)

    def one_field(self, connection: Connection, event_id: int, field: str) -> Any:
        """Return one field of that event; ``None`` if it isn't there."""
        return connection.execute(self._field[field], {"id": event_id}).scalar_one_or_none()

    def newest_id(self, connection: Connection) -> int | None:
        """Return the greatest id that is visible."""
        newest: int | None = connection.execute(self._newest).scalar_one()
        return newest

    def oldest_id(self, connection: Connection) -> int | None:
        """Return the least id that is visible and still to be given to a reader."""
        oldest: int | None = connection.execute(self._oldest).scalar_one()
        return oldest

    def count_since(self, connection: Connection, since: int) -> int:
        """Return how many events are visible after ``since``."""
        return connection.execute(self._count, {"since": since}).scalar_one()

    def count_between(self, connection: Connection, since: int, last: int, most: int) -> int:
        """Return how many events are visible after ``since`` up to ``last``, or ``most``."""
        asked = {"since": since, "last": last, "most": most}
        return connection.execute(self._count_some, asked).scalar_one()


EVENTS = EventLog(event)
"""The event store's own table, called and placed as it is unless somebody says otherwise."""


@cache
def events_log(table_name: str = event.name, schema: str | None = None) -> EventLog:
    """Return the event store's table of that name, in that schema."""
    if (table_name, schema) == (event.name, None):
        return EVENTS
    return EventLog(event.to_metadata(MetaData(), name=table_name, schema=schema or RETAIN_SCHEMA))
