"""MySQL and MariaDB: appends wait for each other, and a gap is looked at twice.

An append locks the one row of ``event_append_lock`` before it draws its ids. The statement that
inserts its first event does both: ``INSERT … SELECT … FOR UPDATE`` draws an id once it has a row to
insert. InnoDB lets go of a transaction's locks only once it is no longer among those at work. So
when id n + 1 is drawn, the transaction of n is over: committed, or rolled back.

That does not make them *visible* in their order. MariaDB puts a read view together while others
commit: it walks through a lock-free table of the transactions at work. So one statement may take n
+ 1 for committed and n for still at work. But whoever has seen an id knows that all below it are
over. A read view that is begun after that takes them for what they are. Hence, at a gap:

1. see the newest id: everything up to there is over by now;
2. read the rows again, in a second statement: what is still missing up to there was rolled back.

Ids above the one that was seen prove nothing about themselves: the second statement may have gaps
there as the first had. Those rows are left for the next read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal_column, select, text
from typing_extensions import override

from tidings.errors import StoreNotReadyError, UnsafeStoreError
from tidings.sql.commit_order.base import CommitOrder
from tidings.sql.commit_order.known_servers import refuse_old_mysql, refuse_relative
from tidings.sql.tables import event_append_lock

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from tidings.sql.commit_order.base import Query, Row

_ENGINES = text(
    "SELECT table_name, engine FROM information_schema.tables "
    "WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name IN (:events, :lock)"
)
_LOCK_ROWS = (
    select(func.count()).select_from(event_append_lock).where(event_append_lock.c.lock_id == 1)
)
_READ_ONLY: ColumnElement[Any] = literal_column("@@GLOBAL.read_only")
_ASK_READ_ONLY = select(_READ_ONLY)
_STILL = select(_READ_ONLY, _LOCK_ROWS.scalar_subquery())
_SERVER = text("SELECT @@GLOBAL.read_only, CONCAT(VERSION(), ' ', @@version_comment)")


def is_on(answer: object) -> bool:
    """Return whether a server's switch is on: it says 0 or 1, or (MariaDB 12) a word."""
    return str(answer).upper() not in {"0", "OFF"}


class MySQLCommitOrder(CommitOrder):
    """The append holds a row lock from before it draws an id to the end of its transaction."""

    @override
    def rows_since(
        self, connection: Connection, query: Query[Row], since: int, limit: int
    ) -> list[Row]:
        """Return what is visible; if ids are missing, what a second look says."""
        rows = query(connection, since, limit)
        if self._length_before_gap(rows, since) == len(rows):
            return rows
        # Not the newest of these rows: behind it, in a backlog, most gaps are decided too.
        seen = self.event_log.newest_id(connection) or 0
        rows = query(connection, since, limit)
        # Asked last: one that has just been made a replica may apply what is missing later.
        _refuse_read_only(connection.execute(_ASK_READ_ONLY).scalar_one())
        self._decided_to = seen
        return rows[: self._length_before_gap(rows, since)]

    @override
    def begin(self, connection: Connection) -> None:
        """Refuse a replica, where transactions may be applied in another order, and relatives."""
        super().begin(connection)
        _refuse_read_only(_refuse_server(connection))

    @override
    def check(self, connection: Connection) -> None:
        """Refuse other servers, tables that don't lock rows, and a lock that isn't there."""
        _refuse_server(connection)
        table = self.event_log.table
        names = {"schema": table.schema, "events": table.name, "lock": event_append_lock.name}
        for table_name, engine in connection.execute(_ENGINES, names):
            if engine != "InnoDB":
                raise UnsafeStoreError(
                    f"The table {table_name!r} is kept by {engine}, which has no row locks: "
                    f"ALTER TABLE {table_name} ENGINE = InnoDB."
                )
        _refuse_missing_lock(connection.execute(_LOCK_ROWS).scalar_one())

    @override
    def watch(self, connection: Connection) -> None:
        """Refuse a server that was made a replica since, and a lock that has gone."""
        read_only, lock_rows = connection.execute(_STILL).one()
        _refuse_read_only(read_only)
        _refuse_missing_lock(lock_rows)


def _refuse_read_only(answer: object) -> None:
    if is_on(answer):
        raise UnsafeStoreError(
            "The database is read-only, as a replica is; events may appear there in another "
            "order. Let the relay read the primary."
        )


def _refuse_server(connection: Connection) -> object:
    """Refuse what is no MySQL or MariaDB, or too old a one; return whether it is read-only."""
    read_only, version = connection.execute(_SERVER).one()
    refuse_relative(str(version), "MySQL")
    refuse_old_mysql(str(version))
    return read_only


def _refuse_missing_lock(rows: int) -> None:
    if not rows:
        raise StoreNotReadyError(
            f"The table {event_append_lock.name!r} has lost its row: run `tidings init --tables`."
        )
