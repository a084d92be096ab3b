"""The statements that read events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from tidings.event import StoredEvent
from tidings.sql.tables import event

if TYPE_CHECKING:
    from sqlalchemy import Connection

_columns = select(
    event.c.event_id,
    event.c.type_name,
    event.c.body,
    event.c.occurred_on,
    event.c.aggregate_id,
    event.c.metadata,
)
_since = (
    _columns.where(event.c.event_id > bindparam("since"))
    .order_by(event.c.event_id)
    .limit(bindparam("limit"))
)
_one = _columns.where(event.c.event_id == bindparam("event_id"))
_newest = select(func.max(event.c.event_id))
_count = select(func.count()).where(event.c.event_id > bindparam("since")).select_from(event)


def events_since(connection: Connection, since: int, limit: int) -> list[StoredEvent]:
    """Return what is visible after ``since``, ascending: one indexed range query."""
    rows = connection.execute(_since, {"since": since, "limit": limit})
    return list(map(StoredEvent._make, rows))


def one_event(connection: Connection, event_id: int) -> StoredEvent | None:
    """Return the event of that id."""
    row = connection.execute(_one, {"event_id": event_id}).one_or_none()
    return None if row is None else StoredEvent._make(row)


def newest_id(connection: Connection) -> int | None:
    """Return the greatest id that is visible."""
    newest: int | None = connection.execute(_newest).scalar_one()
    return newest


def count_since(connection: Connection, since: int) -> int:
    """Return how many events are visible after ``since``."""
    return connection.execute(_count, {"since": since}).scalar_one()
