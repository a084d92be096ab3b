"""The tracker in a SQL database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import override

from tidings.errors import LeaseHeldError
from tidings.interfaces import Capability, Lease, PublishedMessageTracker
from tidings.sql import (
    idle_relays,
    journal,
    lease_renewal,
    pauses,
    quarantine,
    schema,
    tracker_rows,
)
from tidings.sql.driver import holdable
from tidings.sql.few_connections import FewConnections
from tidings.sql.tracker_rows import change, to

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import timedelta

    from sqlalchemy import Connection, Row

    from tidings.event import StoredEvent
    from tidings.interfaces import IdleRelay, JournalEntry, Pause, QuarantinedEvent, TrackedExchange
    from tidings.sql.settings import SqlAlchemySettings

Effect: TypeAlias = "Callable[[Connection], None]"
"""What is to happen in the same transaction."""


class SqlAlchemyTracker(PublishedMessageTracker):
    """Keeps positions and leases in the table ``event_published_message_tracker``.

    And what is in quarantine in ``quarantined_event`` beside it, what happened in
    ``relay_journal``.
    """

    capabilities = frozenset(
        {
            Capability.QUARANTINE,
            Capability.NOTES,
            Capability.JOURNAL,
            Capability.PAUSE,
            Capability.SCHEMA,
        }
    )

    def __init__(
        self, settings: SqlAlchemySettings, database: FewConnections | None = None
    ) -> None:
        """Take the settings, or a database that another tracker uses; connects to nothing."""
        self._database = FewConnections(settings) if database is None else database
        self._insert_if_absent = tracker_rows.insert_if_absent(self._database.dialect_name)

    @property
    def database(self) -> FewConnections:
        """The database it is kept in."""
        return self._database

    @override
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        with self._database.autocommit() as connection:
            row = connection.execute(
                tracker_rows.ROW, {"exchange_name": exchange_name}
            ).one_or_none()
        return None if row is None else row.most_recent_published_message_id or None

    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        self._track_and(_nothing, exchange_name, event, lease)

    def _track_and(
        self, effect: Effect, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        """Track, with an effect while nobody else can move the position.

        ``effect`` is given the transaction's connection. It is not called if the lease is
        lost; what it raises rolls the move back.
        """
        with self._database.transaction() as connection:
            change(connection, tracker_rows.TRACK, exchange_name, lease, **to(event))
            effect(connection)

    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        before = self._make_row(exchange_name)
        parameters = {
            "exchange_name": exchange_name,
            "owner": owner,
            "seconds": seconds,
            "in_place_of": in_place_of,
        }
        taken = 0
        while not taken:
            with self._database.transaction() as connection:
                taken = connection.execute(tracker_rows.ACQUIRE, parameters).rowcount
                row = connection.execute(tracker_rows.ROW, {"exchange_name": exchange_name}).one()
            # Without an owner it was given back between the two statements: it can be had now.
            if not taken and row.lease_owner is not None:
                raise LeaseHeldError(
                    exchange_name, row.lease_owner, row.lease_epoch, row.lease_expires - row.now
                )
        return Lease(
            exchange_name=exchange_name,
            owner=owner,
            epoch=row.lease_epoch,
            seconds=seconds,
            position=tracker_rows.position(row),
            fingerprint=row.fingerprint,
            taken_from=tracker_rows.other_holder(before, row),
        )

    @override
    def renew_lease(self, lease: Lease) -> None:
        with self._database.transaction() as connection:
            change(connection, tracker_rows.RENEW, lease.exchange_name, lease)

    @override
    def renew_leases(self, leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        """Renew all in one transaction, but those whose rows somebody else is changing."""
        with self._database.transaction_at_once() as connection:
            return lease_renewal.renew(connection, leases)

    @override
    def release_lease(self, lease: Lease) -> None:
        parameters = {
            "exchange_name": lease.exchange_name,
            "owner": lease.owner,
            "epoch": lease.epoch,
        }
        with self._database.transaction() as connection:
            connection.execute(tracker_rows.RELEASE, parameters)

    @override
    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        noted: dict[str, Any] = {"event_id": event_id, "now": datetime.now(UTC)}
        with self._database.transaction() as connection:
            noted["reason"] = holdable(connection, reason)
            change(connection, tracker_rows.STOP, lease.exchange_name, lease, **noted)

    @override
    def note_idle(self, exchange_name: str, relay: IdleRelay, seconds: float) -> None:
        with self._database.transaction() as connection:
            idle_relays.put(connection, exchange_name, relay, seconds)

    @override
    def forget_idle(self, exchange_name: str, owner: str) -> None:
        with self._database.transaction() as connection:
            idle_relays.forget(connection, exchange_name, owner)

    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        return self._replay_and(_nothing, exchange_name, after_event_id, generation)

    def _replay_and(
        self, effect: Effect, exchange_name: str, after_event_id: int, generation: int | None
    ) -> bool:
        """Replay, with an effect before anybody can go on from there.

        ``effect`` is given the transaction's connection; what it raises rolls the replay back.
        """
        if after_event_id < 0:
            raise ValueError(f"No event has an id below 1; replay after {after_event_id}?")
        self._make_row(exchange_name)
        with self._database.transaction() as connection:
            if not tracker_rows.replay(connection, exchange_name, after_event_id, generation):
                return False
            quarantine.take_back(connection, exchange_name, after_event_id)
            effect(connection)
        return True

    @override
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        with self._database.autocommit() as connection:
            rows = connection.execute(tracker_rows.ALL).all()
            idle = idle_relays.find(connection)
        return [tracker_rows.tracked_exchange(row, idle.get(row.type_name, ())) for row in rows]

    @override
    def tracked_exchange(self, exchange_name: str) -> TrackedExchange | None:
        with self._database.autocommit() as connection:
            named = {"exchange_name": exchange_name}
            row = connection.execute(tracker_rows.ROW, named).one_or_none()
            idle = idle_relays.find_of(connection, exchange_name)
        return None if row is None else tracker_rows.tracked_exchange(row, idle)

    @override
    def quarantine(self, exchange_name: str, event: StoredEvent, reason: str, lease: Lease) -> None:
        with self._database.transaction() as connection:
            # Locks the row: nobody else moves the position between the look and the move.
            change(connection, tracker_rows.RENEW, exchange_name, lease)
            row = connection.execute(tracker_rows.ROW, {"exchange_name": exchange_name}).one()
            if row.most_recent_published_message_id < event.event_id:
                passed = event._replace(type_name="")  # the type may be mended at this position
                change(connection, tracker_rows.TRACK, exchange_name, lease, **to(passed))
            quarantine.put(connection, exchange_name, event, reason)

    @override
    def quarantined_events(
        self, exchange_name: str | None = None, *, retry_asked: bool = False
    ) -> Sequence[QuarantinedEvent]:
        with self._database.autocommit() as connection:
            return quarantine.find(connection, exchange_name, retry_asked=retry_asked)

    @override
    def count_quarantined(self) -> Mapping[str, int]:
        with self._database.autocommit() as connection:
            return quarantine.count(connection)

    @override
    def ask_to_retry(self, exchange_name: str, event_id: int | None = None) -> int:
        with self._database.transaction() as connection:
            return quarantine.ask_to_retry(connection, exchange_name, event_id)

    @override
    def note_retry(self, event_id: int, reason: str | None, lease: Lease) -> None:
        self._note_retry_and(_nothing, event_id, reason, lease)

    def _note_retry_and(
        self, effect: Effect, event_id: int, reason: str | None, lease: Lease
    ) -> None:
        """Note how a retry ended, with an effect if the event leaves the quarantine."""
        exchange_name = lease.exchange_name
        with self._database.transaction() as connection:
            change(connection, tracker_rows.RENEW, exchange_name, lease)
            if reason is not None:
                quarantine.still_refused(connection, exchange_name, event_id, reason)
            elif quarantine.drop(connection, exchange_name, event_id):
                effect(connection)

    @override
    def drop_quarantined(self, exchange_name: str, event_id: int) -> bool:
        return self._drop_and(_nothing, exchange_name, event_id)

    def _drop_and(self, effect: Effect, exchange_name: str, event_id: int) -> bool:
        """Forget an event in quarantine, with an effect if it was there."""
        with self._database.transaction() as connection:
            dropped = quarantine.drop(connection, exchange_name, event_id)
            if dropped:
                effect(connection)
            return dropped

    @override
    def write_journal(
        self, entries: Sequence[JournalEntry], *, most: int, longest: timedelta
    ) -> None:
        with self._database.transaction() as connection:
            journal.write(connection, entries, most, longest)

    @override
    def journal(
        self,
        exchange_name: str | None = None,
        *,
        since: datetime | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> Sequence[JournalEntry]:
        with self._database.autocommit() as connection:
            return journal.find(connection, exchange_name, since, after, limit)

    @override
    def pause(self, exchange_name: str, pause: Pause) -> bool:
        self._make_row(exchange_name)
        with self._database.transaction() as connection:
            return pauses.put(connection, exchange_name, pause)

    @override
    def resume(self, exchange_name: str) -> bool:
        with self._database.transaction() as connection:
            return pauses.end(connection, exchange_name)

    @override
    def paused_exchanges(self) -> Collection[str]:
        with self._database.autocommit() as connection:
            return pauses.names(connection)

    @override
    def paused(self, exchange_name: str) -> Pause | None:
        with self._database.autocommit() as connection:
            return pauses.find(connection, exchange_name)

    @override
    def create(self) -> None:
        schema.create(self._database, None)

    @override
    def migrate(self, *, dry_run: bool = False) -> str:
        from tidings.sql.migration import migrate  # noqa: PLC0415 - needed once in a lifetime

        return migrate(self._database, None, dry_run=dry_run)

    @override
    def close(self) -> None:
        self._database.close()

    def _make_row(self, exchange_name: str) -> Row[Any] | None:
        """Make the exchange's row if it is not there yet; return it if it is."""
        # In a transaction of its own: on MySQL, waiting for another one's insert while holding
        # locks could end in a deadlock.
        parameters = {"exchange_name": exchange_name}
        with self._database.transaction() as connection:
            row = connection.execute(tracker_rows.ROW, parameters).first()
            if row is None:
                connection.execute(self._insert_if_absent, parameters)
        return row


def _nothing(_connection: Connection) -> None:
    """Let the tracker's own change be all."""
