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

_DEFINITION = text(
    "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(:name)"
)


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
        name = self.event_log.table.name
        definition = connection.execute(_DEFINITION, {"name": name}).scalar()
        if definition is not None and "AUTOINCREMENT" not in definition.upper():
            raise UnsafeStoreError(
                f"The table {name!r} has no AUTOINCREMENT: SQLite would give ids out again, and "
                "the relay would pass those events. Has Alembic's batch mode copied it? Let it "
                'copy again, with table_kwargs={"sqlite_autoincrement": True}.'
            )

    @override
    def watch(self, connection: Connection) -> None:
        """Refuse the same in a table that has taken the place of the one that was checked."""
        self.check(connection)
