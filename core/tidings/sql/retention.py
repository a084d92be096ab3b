"""Deleting events in a SQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, func, literal, select, true

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from tidings.sql.commit_order import CommitOrder
    from tidings.sql.database import Database

BATCH_SIZE = 1000
"""How many events are one transaction, so that no writer waits for long."""


def prune(
    database: Database,
    order: CommitOrder,
    up_to: int,
    *,
    keep: int,
    occurred_before: datetime | None,
    dry_run: bool,
) -> int:
    """Delete events up to an id, but the newest ``keep``; or only count them."""
    event = order.log.table
    with database.autocommit() as connection:
        order.refuse_pruned(connection)
        upper = min(up_to, _last_to_go(connection, event, max(keep, 1)))
    old_enough = _old_enough(database, event, occurred_before)
    if dry_run:
        return _count(database, event, upper, old_enough)
    return _delete(database, order, upper, old_enough)


def _last_to_go(connection: Connection, event: Table, keep: int) -> int:
    found = connection.execute(
        select(event.c.event_id).order_by(event.c.event_id.desc()).offset(keep).limit(1)
    ).scalar()
    return found or 0


def _old_enough(
    database: Database, event: Table, occurred_before: datetime | None
) -> ColumnElement[bool]:
    if occurred_before is None:
        return true()
    if database.dialect_name == "sqlite":
        # Whatever form of time the application wrote there.
        return func.julianday(event.c.occurred_on) < func.julianday(
            literal(occurred_before.isoformat(timespec="milliseconds"))
        )
    return event.c.occurred_on < occurred_before


def _count(database: Database, event: Table, upper: int, old_enough: ColumnElement[bool]) -> int:
    with database.autocommit() as connection:
        return connection.execute(
            select(func.count()).select_from(event).where(event.c.event_id <= upper, old_enough)
        ).scalar_one()


def _delete(
    database: Database, order: CommitOrder, upper: int, old_enough: ColumnElement[bool]
) -> int:
    """Walk up the ids, so that each batch is one range of the primary key."""
    event = order.log.table
    deleted = 0
    above = 0
    while True:
        with database.transaction() as connection:
            batch = (
                select(event.c.event_id)
                .where(event.c.event_id > above, event.c.event_id <= upper)
                .order_by(event.c.event_id)
                .limit(BATCH_SIZE)
                .subquery()
            )
            last = connection.execute(select(func.max(batch.c.event_id))).scalar()
            if last is None:
                return deleted
            in_batch = (event.c.event_id > above, event.c.event_id <= last)
            deleted += connection.execute(delete(event).where(*in_batch, old_enough)).rowcount
            order.note_pruned(connection, last)
            above = last
