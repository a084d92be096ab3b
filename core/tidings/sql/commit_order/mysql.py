"""MySQL and MariaDB: appends wait for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tidings.errors import StoreNotReadyError, UnsafeStoreError
from tidings.sql.commit_order.base import CommitOrder
from tidings.sql.tables import event_append_lock

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.event import StoredEvent

_ENGINES = text(
    "SELECT table_name, engine FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name IN (:events, :lock)"
)
_LOCK_ROWS = text(f"SELECT count(*) FROM {event_append_lock.name} WHERE lock_id = 1")  # noqa: S608 - our own name


class MySQLCommitOrder(CommitOrder):
    """The append holds a row lock from before it draws an id to its commit.

    So ids become visible in their order, and a plain read is enough.
    """

    def events_since(self, connection: Connection, since: int, limit: int) -> list[StoredEvent]:
        """Return what is visible."""
        return self.log.events_since(connection, since, limit)

    def begin(self, connection: Connection) -> None:
        """Refuse a replica, where transactions may be applied in another order."""
        if connection.execute(text("SELECT @@GLOBAL.read_only")).scalar_one():
            raise UnsafeStoreError(
                "The database is read-only, as a replica is; events may appear there in another "
                "order. Let the relay read the primary."
            )

    def check(self, connection: Connection) -> None:
        """Refuse tables that don't lock rows, and a lock that isn't there."""
        names = {"events": self.log.table.name, "lock": event_append_lock.name}
        for table_name, engine in connection.execute(_ENGINES, names):
            if engine != "InnoDB":
                raise UnsafeStoreError(
                    f"The table {table_name!r} is kept by {engine}, which has no row locks: "
                    f"ALTER TABLE {table_name} ENGINE = InnoDB."
                )
        if not connection.execute(_LOCK_ROWS).scalar_one():
            raise StoreNotReadyError(
                f"The table {event_append_lock.name!r} has lost its row: "
                "run `tidings init --tables`."
            )
