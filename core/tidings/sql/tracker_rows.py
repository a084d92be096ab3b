"""What the tracker asks of its table, and what a row of it says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, and_, bindparam, case, cast, insert, or_, select, update

from tidings.errors import LeaseLostError
from tidings.interfaces import Position, Stop, TrackedExchange, fingerprint
from tidings.sql import pauses
from tidings.sql.tables import event_published_message_tracker as tracker
from tidings.sql.types import DatabaseClock, UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row
    from sqlalchemy.sql.dml import Insert, Update

    from tidings.event import StoredEvent
    from tidings.interfaces import IdleRelay, Lease

_now = DatabaseClock()
_of_exchange = tracker.c.type_name == bindparam("exchange_name")
_of_lease = and_(
    _of_exchange,
    tracker.c.lease_epoch == bindparam("epoch"),
    tracker.c.lease_owner == bindparam("owner"),
)
_lease_end = _now + bindparam("seconds")

_GENERATIONS_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# A counter would come back with a restored database, and begin a generation for a second time that
# brokers remember. So the clock counts, to the second, from a day that lets it fit for long.
_clock_generation = cast(_now - int(_GENERATIONS_BEGIN.timestamp()), Integer)
_new_generation = case(
    (tracker.c.generation < _clock_generation, _clock_generation),
    else_=tracker.c.generation + 1,
)

ROW = select(tracker, _now.label("now")).where(_of_exchange)
ALL = select(tracker, _now.label("now")).order_by(tracker.c.type_name)
ACQUIRE = (
    update(tracker)
    .where(
        _of_exchange,
        or_(
            tracker.c.lease_owner.is_(None),
            tracker.c.lease_owner == bindparam("owner"),
            tracker.c.lease_expires <= _now,
            tracker.c.lease_epoch == bindparam("in_place_of"),
        ),
    )
    .values(
        lease_owner=bindparam("owner"),
        lease_epoch=tracker.c.lease_epoch + 1,
        lease_expires=_lease_end,
    )
)
_GOES_ON: dict[str, Any] = {"stopped_by_event": None, "stopped_reason": None, "stopped_on": None}
TRACK = (
    update(tracker)
    .where(_of_lease)
    .values(
        **_GOES_ON,
        most_recent_published_message_id=bindparam("event_id"),
        fingerprint=bindparam("new_fingerprint"),
        lease_expires=_lease_end,
    )
)
_stopping_event = bindparam("event_id", type_=BigInteger())
_stopped_before = and_(
    tracker.c.stopped_on.is_not(None),
    tracker.c.stopped_by_event.is_not_distinct_from(_stopping_event),
)
STOP = (
    update(tracker)
    .where(_of_lease)
    .ordered_values(
        # First of all: MySQL takes for the others what it has just put there.
        (
            tracker.c.stopped_on,
            case(
                (_stopped_before, tracker.c.stopped_on), else_=bindparam("now", type_=UtcDateTime())
            ),
        ),
        (tracker.c.stopped_by_event, _stopping_event),
        (tracker.c.stopped_reason, bindparam("reason")),
        (tracker.c.lease_expires, _lease_end),
    )
)
RENEW = update(tracker).where(_of_lease).values(lease_expires=_lease_end)
RELEASE = update(tracker).where(_of_lease).values(lease_owner=None, lease_expires=0)
_REPLAY = (
    update(tracker)
    .where(_of_exchange)
    .values(
        **_GOES_ON,
        most_recent_published_message_id=bindparam("event_id"),
        fingerprint=None,
        generation=_new_generation,
        lease_owner=None,
        lease_epoch=tracker.c.lease_epoch + 1,
        lease_expires=0,
    )
)


_REPLAY_IN_TURN = _REPLAY.where(tracker.c.generation == bindparam("seen"))


def replay(
    connection: Connection, exchange_name: str, after_event_id: int, generation: int | None
) -> bool:
    """Set the exchange's row back; return whether it was of that generation, if one is said."""
    asked = {"exchange_name": exchange_name, "event_id": after_event_id}
    if generation is None:
        return connection.execute(_REPLAY, asked).rowcount > 0
    return connection.execute(_REPLAY_IN_TURN, asked | {"seen": generation}).rowcount > 0


def insert_if_absent(dialect_name: str) -> Insert:
    values: dict[str, Any] = {"type_name": bindparam("exchange_name")}
    if dialect_name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - slow; others do without

        return postgresql.insert(tracker).values(values).on_conflict_do_nothing().inline()
    if dialect_name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - as above

        return sqlite.insert(tracker).values(values).on_conflict_do_nothing().inline()
    return insert(tracker).values(values).prefix_with("IGNORE").inline()


def change(
    connection: Connection, statement: Update, exchange_name: str, lease: Lease, **parameters: Any
) -> None:
    """Change the exchange's row; ``LeaseLostError`` if the lease is somebody else's by now."""
    parameters |= {
        "exchange_name": exchange_name,
        "owner": lease.owner,
        "epoch": lease.epoch,
        "seconds": lease.seconds,
    }
    if not connection.execute(statement, parameters).rowcount:
        raise LeaseLostError(lease.exchange_name)


def to(event: StoredEvent) -> dict[str, Any]:
    """Return what :data:`TRACK` moves a position to."""
    return {"event_id": event.event_id, "new_fingerprint": fingerprint(event)}


def tracked_exchange(row: Row[Any], idle: Sequence[IdleRelay]) -> TrackedExchange:
    """Return what a row of :data:`ALL` says, with who is ``idle``."""
    return TrackedExchange(
        exchange_name=row.type_name,
        position=position(row),
        owner=row.lease_owner if row.lease_expires > row.now else None,
        stop=_stop(row),
        fingerprint=row.fingerprint,
        idle=idle,
        pause=pauses.of_row(row),
    )


def position(row: Row[Any]) -> Position:
    return Position(row.most_recent_published_message_id, row.generation)


def other_holder(before: Row[Any] | None, taken: Row[Any]) -> str | None:
    """Return who had the lease ``before`` it was ``taken``, unless that was the taker itself."""
    # Somebody else may have had it between the two looks.
    if before is None or taken.lease_epoch != before.lease_epoch + 1:
        return None
    return None if before.lease_owner == taken.lease_owner else before.lease_owner


def _stop(row: Row[Any]) -> Stop | None:
    if row.stopped_reason is None:
        return None
    return Stop(row.stopped_by_event, row.stopped_reason, row.stopped_on)
