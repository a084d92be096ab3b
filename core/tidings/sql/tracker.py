"""The tracker in a SQL database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, insert, or_, select, update

from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.interfaces import (
    Lease,
    Position,
    PublishedMessageTracker,
    Quarantine,
    QuarantinedEvent,
    Stop,
    TrackedExchange,
    fingerprint,
)
from tidings.sql import quarantine, schema
from tidings.sql.connection import Database
from tidings.sql.tables import event_published_message_tracker as tracker
from tidings.sql.types import DatabaseClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection
    from sqlalchemy.sql.dml import Insert, Update

    from tidings.event import StoredEvent
    from tidings.sql.settings import SqlAlchemySettings

_now = DatabaseClock()
_of_exchange = tracker.c.type_name == bindparam("exchange_name")
_of_lease = and_(
    _of_exchange,
    tracker.c.lease_epoch == bindparam("epoch"),
    tracker.c.lease_owner == bindparam("owner"),
)
_lease_end = _now + bindparam("seconds")

_ROW = select(tracker, _now.label("now")).where(_of_exchange)
_ALL = select(tracker, _now.label("now")).order_by(tracker.c.type_name)
_ACQUIRE = (
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
_TRACK = (
    update(tracker)
    .where(_of_lease)
    .values(
        **_GOES_ON,
        most_recent_published_message_id=bindparam("event_id"),
        fingerprint=bindparam("new_fingerprint"),
        lease_expires=_lease_end,
    )
)
_STOP = (
    update(tracker)
    .where(_of_lease)
    .values(
        stopped_by_event=bindparam("event_id"),
        stopped_reason=bindparam("reason"),
        stopped_on=bindparam("now"),
        lease_expires=_lease_end,
    )
)
_RENEW = update(tracker).where(_of_lease).values(lease_expires=_lease_end)
_RELEASE = update(tracker).where(_of_lease).values(lease_owner=None, lease_expires=0)
_REPLAY = (
    update(tracker)
    .where(_of_exchange)
    .values(
        **_GOES_ON,
        most_recent_published_message_id=bindparam("event_id"),
        fingerprint=None,
        generation=tracker.c.generation + 1,
        lease_owner=None,
        lease_epoch=tracker.c.lease_epoch + 1,
        lease_expires=0,
    )
)


def _insert_if_absent(dialect_name: str) -> Insert:
    values: dict[str, Any] = {"type_name": bindparam("exchange_name")}
    if dialect_name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - slow; others do without

        return postgresql.insert(tracker).values(values).on_conflict_do_nothing().inline()
    if dialect_name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - as above

        return sqlite.insert(tracker).values(values).on_conflict_do_nothing().inline()
    return insert(tracker).values(values).prefix_with("IGNORE").inline()


class SqlAlchemyPublishedMessageTracker(PublishedMessageTracker, Quarantine):
    """Keeps positions and leases in the table ``event_published_message_tracker``.

    And what is in quarantine in ``quarantined_event`` beside it.
    """

    def __init__(self, settings: SqlAlchemySettings) -> None:
        """Take the settings; connects to nothing."""
        self._database = Database(settings)
        self._insert_if_absent = _insert_if_absent(self._database.dialect_name)

    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        """Return the id of the newest event the exchange has had, ``None`` before the first."""
        with self._database.autocommit() as connection:
            row = connection.execute(_ROW, {"exchange_name": exchange_name}).one_or_none()
        return None if row is None else row.most_recent_published_message_id or None

    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        """Move the exchange's position to ``notification`` and renew the lease, in one step."""
        self._with_lease(_TRACK, lease, **_to(exchange_name, notification))

    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        """Take the exchange's lease, and read its position, in one step."""
        self._make_row(exchange_name)
        parameters = {
            "exchange_name": exchange_name,
            "owner": owner,
            "seconds": seconds,
            "in_place_of": in_place_of,
        }
        with self._database.transaction() as connection:
            taken = connection.execute(_ACQUIRE, parameters).rowcount
            row = connection.execute(_ROW, {"exchange_name": exchange_name}).one()
        if not taken:
            raise LeaseHeldError(
                exchange_name, row.lease_owner, row.lease_epoch, row.lease_expires - row.now
            )
        return Lease(
            exchange_name=exchange_name,
            owner=owner,
            epoch=row.lease_epoch,
            seconds=seconds,
            position=_position(row),
            fingerprint=row.fingerprint,
        )

    def renew_lease(self, lease: Lease) -> None:
        """Let the lease run for its full time again; ``LeaseLostError`` where it has gone."""
        self._with_lease(_RENEW, lease, exchange_name=lease.exchange_name)

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back, so that a standby takes over at once."""
        parameters = {
            "exchange_name": lease.exchange_name,
            "owner": lease.owner,
            "epoch": lease.epoch,
        }
        with self._database.transaction() as connection:
            connection.execute(_RELEASE, parameters)

    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        """Keep why the exchange stands still, until its position moves or it is replayed."""
        self._with_lease(
            _STOP,
            lease,
            exchange_name=lease.exchange_name,
            event_id=event_id,
            reason=reason,
            now=datetime.now(UTC),
        )

    def replay(self, exchange_name: str, after_event_id: int) -> None:
        """Set the position so that the exchange gets every event after ``after_event_id`` again."""
        if after_event_id < 0:
            raise ValueError(f"No event has an id below 1; replay after {after_event_id}?")
        self._make_row(exchange_name)
        with self._database.transaction() as connection:
            connection.execute(
                _REPLAY, {"exchange_name": exchange_name, "event_id": after_event_id}
            )

    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        """Return every exchange that has a row, by name."""
        with self._database.autocommit() as connection:
            rows = connection.execute(_ALL).all()
        return [
            TrackedExchange(
                exchange_name=row.type_name,
                position=_position(row),
                owner=row.lease_owner if row.lease_expires > row.now else None,
                stop=_stop(row),
            )
            for row in rows
        ]

    def quarantine(
        self, exchange_name: str, notification: StoredEvent, reason: str, lease: Lease
    ) -> None:
        """Note the event and move the exchange's position to it, in one transaction."""
        with self._database.transaction() as connection:
            # Locks the row: nobody else moves the position between the look and the move.
            self._change(connection, _RENEW, lease, exchange_name=exchange_name)
            row = connection.execute(_ROW, {"exchange_name": exchange_name}).one()
            if row.most_recent_published_message_id < notification.event_id:
                self._change(connection, _TRACK, lease, **_to(exchange_name, notification))
            quarantine.put(connection, exchange_name, notification, reason)

    def quarantined_events(
        self, exchange_name: str | None = None, *, retry_asked: bool = False
    ) -> Sequence[QuarantinedEvent]:
        """Return those of one exchange, or of all, by exchange and id."""
        with self._database.autocommit() as connection:
            return quarantine.find(connection, exchange_name, retry_asked=retry_asked)

    def ask_to_retry(self, exchange_name: str, event_id: int | None = None) -> int:
        """Ask for one event, or all, to be sent again; return how many there are."""
        with self._database.transaction() as connection:
            return quarantine.ask_to_retry(connection, exchange_name, event_id)

    def settle_retry(self, event_id: int, reason: str | None, lease: Lease) -> None:
        """Note how sending an event again ended."""
        exchange_name = lease.exchange_name
        with self._database.transaction() as connection:
            self._change(connection, _RENEW, lease, exchange_name=exchange_name)
            if reason is None:
                quarantine.drop(connection, exchange_name, event_id)
            else:
                quarantine.still_refused(connection, exchange_name, event_id, reason)

    def drop_quarantined(self, exchange_name: str, event_id: int) -> bool:
        """Forget that event; return whether it was there."""
        with self._database.transaction() as connection:
            return quarantine.drop(connection, exchange_name, event_id)

    def create(self) -> None:
        """Create the tables, where they aren't there yet. Idempotent."""
        schema.create(self._database)

    def close(self) -> None:
        """Give back connections. Idempotent; the tracker may be used again."""
        self._database.close()

    def _make_row(self, exchange_name: str) -> None:
        # In a transaction of its own: on MySQL, waiting for another one's insert while holding
        # locks could end in a deadlock.
        parameters = {"exchange_name": exchange_name}
        with self._database.transaction() as connection:
            if connection.execute(_ROW, parameters).first() is None:
                connection.execute(self._insert_if_absent, parameters)

    def _with_lease(self, statement: Update, lease: Lease, **parameters: Any) -> None:
        with self._database.transaction() as connection:
            self._change(connection, statement, lease, **parameters)

    @staticmethod
    def _change(connection: Connection, statement: Update, lease: Lease, **parameters: Any) -> None:
        parameters |= {"owner": lease.owner, "epoch": lease.epoch, "seconds": lease.seconds}
        if not connection.execute(statement, parameters).rowcount:
            raise LeaseLostError(lease.exchange_name)


def _to(exchange_name: str, event: StoredEvent) -> dict[str, Any]:
    return {
        "exchange_name": exchange_name,
        "event_id": event.event_id,
        "new_fingerprint": fingerprint(event),
    }


def _stop(row: Any) -> Stop | None:
    if row.stopped_reason is None:
        return None
    return Stop(row.stopped_by_event, row.stopped_reason, row.stopped_on)


def _position(row: Any) -> Position:
    return Position(row.most_recent_published_message_id, row.generation)
