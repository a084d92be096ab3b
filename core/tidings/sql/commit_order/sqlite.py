"""SQLite: one writer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tidings.errors import UnsafeStoreError
from tidings.sql.commit_order.base import CommitOrder

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.event import StoredEvent

_DEFINITION = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")


class SQLiteCommitOrder(CommitOrder):
    """Ids are drawn by the one transaction that may write, so they commit in their order."""

    def events_since(self, connection: Connection, since: int, limit: int) -> list[StoredEvent]:
        """Return what is visible."""
        return self.log.events_since(connection, since, limit)

    def check(self, connection: Connection) -> None:
        """Refuse a table that gives the ids of pruned rows out again."""
        definition = connection.execute(_DEFINITION, {"name": self.log.table.name}).scalar_one()
        if "AUTOINCREMENT" not in definition.upper():
            raise UnsafeStoreError(
                f"The table {self.log.table.name!r} has no AUTOINCREMENT: after pruning, SQLite "
                "would give old ids out again, and the relay would pass those events. Make the "
                "table with `tidings init --tables` (`tidings schema` shows it)."
            )
