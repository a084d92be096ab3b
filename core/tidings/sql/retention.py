"""Deleting events that every exchange has had."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, func, literal, select, true

from tidings.interfaces import Quarantine
from tidings.sql.event_log import EVENTS
from tidings.sql.tables import event

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from tidings.interfaces import PublishedMessageTracker
    from tidings.sql.connection import Database
    from tidings.sql.event_store import SqlAlchemyEventStore


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, or would be."""

    events: int
    """How many."""

    awaited_by: str | None
    """The exchange that is furthest behind, where it alone kept events from being deleted."""


def prune(
    store: SqlAlchemyEventStore,
    tracker: PublishedMessageTracker,
    exchange_names: Collection[str],
    *,
    older_than: timedelta | None = None,
    keep: int | None = None,
    dry_run: bool = False,
    batch_size: int = 1000,
    elsewhere: Collection[str] = (),
) -> Pruned:
    """Delete events that occurred longer ago than ``older_than``, or all but the newest ``keep``.

    Deletes only what every exchange has had: those of ``exchange_names``, which are the configured
    ones, and those that ``tracker`` knows; not those ``elsewhere``, which read another source. One
    that has no position yet has had nothing. The newest event always stays, so that a position can
    be told from one of another store. Each ``batch_size`` of events is a transaction of its own,
    so that no writer waits for long.
    """
    if (older_than is None) == (keep is None):
        raise ValueError("Say either older_than or keep.")
    if keep is not None and keep < 0:
        raise ValueError(f"keep must not be negative, as {keep} is.")
    database = store.database
    with database.autocommit() as connection:
        newest = EVENTS.newest_id(connection) or 0
        wanted = newest - 1 if keep is None else min(_last_to_go(connection, keep), newest - 1)
    old_enough = _old_enough(database, older_than)
    published, last_exchange = _published(tracker, exchange_names, elsewhere)
    upper = min(wanted, published)
    if dry_run:
        count = _count(database, upper, old_enough)
    else:
        count = _delete(database, upper, old_enough, batch_size)
    awaited = published < wanted and _count(database, wanted, old_enough, above=published) > 0
    return Pruned(count, last_exchange if awaited else None)


def _published(
    tracker: PublishedMessageTracker, exchange_names: Collection[str], elsewhere: Collection[str]
) -> tuple[int, str | None]:
    """Return up to where every exchange has got, and the exchange that stands there."""
    positions = dict.fromkeys(exchange_names, 0)
    positions |= {t.exchange_name: t.position.event_id for t in tracker.tracked_exchanges()}
    if isinstance(tracker, Quarantine):
        for name, event_id, *_ in tracker.quarantined_events():
            positions[name] = min(positions.get(name, 0), event_id - 1)
    for name in elsewhere:
        positions.pop(name, None)
    if not positions:
        return 0, None
    last = min(positions, key=lambda name: (positions[name], name))
    return positions[last], last


def _last_to_go(connection: Connection, keep: int) -> int:
    found = connection.execute(
        select(event.c.event_id).order_by(event.c.event_id.desc()).offset(keep).limit(1)
    ).scalar()
    return found or 0


def _old_enough(database: Database, older_than: timedelta | None) -> ColumnElement[bool]:
    if older_than is None:
        return true()
    limit = datetime.now(UTC) - older_than
    if database.dialect_name == "sqlite":
        # Whatever form of time the application wrote there.
        return func.julianday(event.c.occurred_on) < func.julianday(
            literal(limit.isoformat(timespec="milliseconds"))
        )
    return event.c.occurred_on < limit


def _count(
    database: Database, upper: int, old_enough: ColumnElement[bool], *, above: int = 0
) -> int:
    with database.autocommit() as connection:
        return connection.execute(
            select(func.count())
            .select_from(event)
            .where(event.c.event_id > above, event.c.event_id <= upper, old_enough)
        ).scalar_one()


def _delete(
    database: Database, upper: int, old_enough: ColumnElement[bool], batch_size: int
) -> int:
    """Walk up the ids, so that each batch is one range of the primary key."""
    deleted = 0
    above = 0
    while True:
        with database.transaction() as connection:
            batch = (
                select(event.c.event_id)
                .where(event.c.event_id > above, event.c.event_id <= upper)
                .order_by(event.c.event_id)
                .limit(batch_size)
                .subquery()
            )
            last = connection.execute(select(func.max(batch.c.event_id))).scalar()
            if last is None:
                return deleted
            in_batch = (event.c.event_id > above, event.c.event_id <= last)
            deleted += connection.execute(delete(event).where(*in_batch, old_enough)).rowcount
            above = last
