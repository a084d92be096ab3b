"""The statements for what happened to exchanges, and who did it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, select

from tidings.interfaces import JournalEntry
from tidings.sql.driver import holdable
from tidings.sql.tables import relay_journal as table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from sqlalchemy import Connection

_COLUMNS = [table.c[name] for name in JournalEntry._fields]
_INSERT = insert(table).inline()
_ENDS = select(func.min(table.c.entry_id), func.max(table.c.entry_id))
_OLDEST_SINCE = select(func.min(table.c.entry_id)).where(
    table.c.noted_on >= bindparam("since", type_=table.c.noted_on.type)
)
_DELETE_BELOW = delete(table).where(table.c.entry_id < bindparam("lowest"))


def write(
    connection: Connection, entries: Sequence[JournalEntry], most: int, longest: timedelta
) -> None:
    """Keep the entries, and let go of the oldest: by their ids, which may have holes, and by age.

    Deletes by the key alone, so that several who write at once keep each other waiting for no more
    than those rows.
    """
    rows = [entry._asdict() for entry in entries]
    for row in rows:
        del row["entry_id"]
        row["detail"] = row["detail"] and holdable(connection, row["detail"])
        row["who"] = holdable(connection, row["who"])
    connection.execute(_INSERT, rows)
    oldest, newest = connection.execute(_ENDS).one()
    since = _since(longest)
    lowest = max(
        newest - most + 1, connection.execute(_OLDEST_SINCE, {"since": since}).scalar() or 0
    )
    if oldest < lowest:
        connection.execute(_DELETE_BELOW, {"lowest": lowest})


def find(
    connection: Connection,
    exchange_name: str | None,
    since: datetime | None,
    after: int,
    limit: int,
) -> list[JournalEntry]:
    """Return the newest of them, oldest first."""
    query = select(*_COLUMNS).where(table.c.entry_id > after)
    if exchange_name is not None:
        query = query.where(table.c.exchange_name == exchange_name)
    if since is not None:
        query = query.where(table.c.noted_on >= since)
    query = query.order_by(table.c.entry_id.desc()).limit(limit)
    return [JournalEntry._make(row) for row in connection.execute(query)][::-1]


def _since(longest: timedelta) -> datetime:
    try:
        return datetime.now(UTC) - longest
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
