"""How the order of commits is known, which each kind of database does in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.sql.commit_order.base import CommitOrder
from tidings.sql.commit_order.mysql import MySQLCommitOrder
from tidings.sql.commit_order.postgresql import PostgreSQLCommitOrder
from tidings.sql.commit_order.sqlite import SQLiteCommitOrder

if TYPE_CHECKING:
    from tidings.sql.event_log import EventLog

_KINDS: dict[str, type[CommitOrder]] = {
    "mysql": MySQLCommitOrder,
    "postgresql": PostgreSQLCommitOrder,
    "sqlite": SQLiteCommitOrder,
}


def commit_order(dialect_name: str, event_log: EventLog) -> CommitOrder:
    """Return a new reader's knowledge of ``event_log``, in a database of this kind."""
    return _KINDS[dialect_name](event_log)


__all__ = ["CommitOrder", "commit_order"]
