"""An outbox as the source of an exchange, in place of the event store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, select, update

from tidings.interfaces import (
    Lease,
    PublishedMessageTracker,
    Quarantine,
    TrackedExchange,
)
from tidings.sql.connection import Database
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.outbox.table import outbox_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent
    from tidings.sql.settings import OutboxSettings


def outbox_event_store(settings: OutboxSettings) -> SqlAlchemyEventStore:
    """Return the outbox as an event store: what waits in it, in the order of commits.

    It keeps the event store's promises; an event that was dispatched is given no more.
    """
    return SqlAlchemyEventStore(settings, outbox_log(settings.table_name, settings.layout))


def outbox_tracker(
    settings: OutboxSettings, tracker: PublishedMessageTracker
) -> PublishedMessageTracker:
    """Return ``tracker``, with the outbox marked or emptied up to every position it moves to.

    For the one exchange that drains the outbox. A replay gives again what is still in the table.
    """
    return _OutboxTracker(settings, tracker)


class _OutboxTracker(PublishedMessageTracker):
    def __init__(self, settings: OutboxSettings, tracker: PublishedMessageTracker) -> None:
        self._tracker = tracker
        self._database = Database(settings)
        table = outbox_log(settings.table_name, settings.layout).table
        up_to = table.c.event_id <= bindparam("up_to")
        self._mark = (
            update(table)
            .where(up_to, table.c.dispatched_on.is_(None))
            .values(dispatched_on=bindparam("now", type_=table.c.dispatched_on.type))
        )
        self._unmark = (
            update(table)
            .where(table.c.event_id > bindparam("after"), table.c.dispatched_on.is_not(None))
            .values(dispatched_on=None)
        )
        # The newest row stays, marked: it shows that the position is of this outbox.
        self._newest = select(func.max(table.c.event_id))
        self._remove = (
            delete(table).where(
                up_to,
                table.c.event_id < bindparam("newest"),
                table.c.event_id.not_in(bindparam("spared", expanding=True)),
            )
            if settings.then == "remove"
            else None
        )

    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        # The position first: what the outbox still shows below it will not be published again,
        # and is dealt with at the next position.
        self._tracker.track_most_recent_published_message(exchange_name, notification, lease)
        up_to = notification.event_id
        with self._database.transaction() as connection:
            if self._remove is not None:
                newest = connection.execute(self._newest).scalar_one()
                removed = {
                    "up_to": up_to,
                    "newest": newest or 0,
                    "spared": self._in_quarantine(exchange_name),
                }
                connection.execute(self._remove, removed)
            connection.execute(self._mark, {"up_to": up_to, "now": datetime.now(UTC)})

    def _in_quarantine(self, exchange_name: str) -> list[int]:
        """Return what must stay to be tried again."""
        if not isinstance(self._tracker, Quarantine):
            return []
        return [event.event_id for event in self._tracker.quarantined_events(exchange_name)]

    def replay(self, exchange_name: str, after_event_id: int) -> None:
        # The lease goes first: its holder cannot mark these again.
        self._tracker.replay(exchange_name, after_event_id)
        with self._database.transaction() as connection:
            connection.execute(self._unmark, {"after": after_event_id})

    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        return self._tracker.most_recent_published_message_id(exchange_name)

    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        return self._tracker.acquire_lease(exchange_name, owner, seconds, in_place_of=in_place_of)

    def renew_lease(self, lease: Lease) -> None:
        self._tracker.renew_lease(lease)

    def release_lease(self, lease: Lease) -> None:
        self._tracker.release_lease(lease)

    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        self._tracker.note_stop(event_id, reason, lease)

    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        return self._tracker.tracked_exchanges()

    def create(self) -> None:
        self._tracker.create()

    def close(self) -> None:
        self._database.close()
        self._tracker.close()
