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

COUNT_AT_ONCE = 100_000
"""How many of the events that stay one statement counts."""


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
    event = order.event_log.table
    with database.autocommit() as connection:
        order.refuse_pruned(connection)
        upper = min(up_to, _last_to_go(connection, event, max(keep, 1)))
    old_enough = _old_enough(database, event, occurred_before)
    if dry_run:
        return _count(database, event, upper, old_enough)
    return _delete(database, order, upper, old_enough)


def _last_to_go(connection: Connection, event: Table, keep: int) -> int:
    """Return the newest id that ``keep`` events are above; 0: there are no more than those.

    They are counted, because ids have gaps, but in steps: no statement, and so no snapshot, lasts.
    """
    ids = event.c.event_id
    # Each by itself: SQLite finds one of them in the index, and both only by reading everything.
    ends = (select(end(ids)).scalar_subquery() for end in (func.max, func.min))
    newest, oldest = connection.execute(select(*ends)).one()
    if newest is None or newest - oldest < keep:
        return 0
    below, left = newest + 1, keep
    while left:
        step = min(left, COUNT_AT_ONCE)
        last = select(ids).where(ids < below).order_by(ids.desc()).offset(step - 1).limit(1)
        below = connection.execute(last).scalar()
        if below is None:
            return 0
        left -= step
    return connection.execute(select(func.max(ids)).where(ids < below)).scalar() or 0


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
    event = order.event_log.table
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
