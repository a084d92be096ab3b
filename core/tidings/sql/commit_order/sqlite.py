"""SQLite: one writer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from typing_extensions import override

from tidings.errors import UnsafeStoreError
from tidings.sql.commit_order.base import CommitOrder

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.commit_order.base import Query, Row

_DEFINITION = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")


class SQLiteCommitOrder(CommitOrder):
    """Ids are drawn by the one transaction that may write, so they commit in their order."""

    @override
    def rows_since(
        self, connection: Connection, query: Query[Row], since: int, limit: int
    ) -> list[Row]:
        return query(connection, since, limit)

    @override
    def check(self, connection: Connection) -> None:
        """Refuse a table that gives the ids of pruned rows out again."""
        definition = connection.execute(
            _DEFINITION, {"name": self.event_log.table.name}
        ).scalar_one()
        if "AUTOINCREMENT" not in definition.upper():
            raise UnsafeStoreError(
                f"The table {self.event_log.table.name!r} has no AUTOINCREMENT: after pruning, "
                "SQLite would give old ids out again, and the relay would pass those events. Make "
                "the table with `tidings init --tables` (`tidings schema` shows it)."
            )
