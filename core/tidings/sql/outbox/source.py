"""An outbox as the source of an exchange, in place of the event store."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, or_, select, update
from typing_extensions import override

from tidings.errors import ConfigurationError, TidingsError
from tidings.shown import escaping_logger
from tidings.sql import quarantine
from tidings.sql.commit_order.low_ids import MOST_NAMED, named
from tidings.sql.database import Database
from tidings.sql.database_url import place, url_of
from tidings.sql.outbox.store import OutboxEventStore
from tidings.sql.outbox.table import outbox_log
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, UpdateBase

    from tidings.event import StoredEvent
    from tidings.interfaces import Lease, PublishedMessageTracker
    from tidings.sql.event_log import EventLog
    from tidings.sql.event_store import SqlAlchemyEventStore
    from tidings.sql.settings import OutboxSettings
    from tidings.sql.tracker import Effect

log = escaping_logger(__name__)

MOST_IDS = 500
"""In one statement; databases bound how many parameters one may have."""


def outbox_event_store(settings: OutboxSettings) -> SqlAlchemyEventStore:
    """Return the outbox as an event store: what waits in it, in the order of commits.

    It keeps the event store's promises; an event that was dispatched is given no more. Raises
    :class:`~tidings.errors.UnsafeStoreError` from ``watch`` if somebody else dispatches events.
    """
    return OutboxEventStore(settings, _log(settings))


def outbox_tracker(
    settings: OutboxSettings, tracker: PublishedMessageTracker
) -> PublishedMessageTracker:
    """Return ``tracker``, with the outbox marked or emptied up to every position it moves to.

    For the one exchange that drains the outbox. A replay gives again what is still in the table.
    What waits below the position is named in the log when a lease is taken.

    Marks and removals happen while the position's row is locked. So no relay goes on from a replay
    before the outbox shows its events again, and none marks them after it. If outbox and tracker
    are in one database, both are one transaction. Raises
    :class:`~tidings.errors.ConfigurationError` for a tracker that is not ours on SQLAlchemy.
    """
    if type(tracker) is not SqlAlchemyTracker:  # what a subclass does otherwise would be left out
        raise ConfigurationError(
            [
                (
                    "An outbox as an exchange's source needs positions in a SQL database, whose "
                    'rows can be locked: give [tracker] the backend "sqlalchemy".'
                )
            ]
        )
    return _OutboxTracker(settings, tracker)


def _log(settings: OutboxSettings) -> EventLog:
    return outbox_log(settings.table_name, settings.layout, settings.db_schema)


def drained_table(settings: OutboxSettings) -> tuple[str, ...]:
    """Return which table of which database is drained; equal if two settings mean the same."""
    return (*place(url_of(settings)), settings.db_schema or "", settings.table_name)


class _OutboxTracker(SqlAlchemyTracker):
    """The same positions, on the same connections; their moves and replays change the outbox, too.

    What goes into quarantine is marked when the position next moves, or when it leaves it. Only
    then is certain what the other one of two databases says.
    """

    def __init__(self, settings: OutboxSettings, tracker: SqlAlchemyTracker) -> None:
        super().__init__(settings, tracker.database)
        self._outbox = Database(settings)
        self._is_beside = tracker.database.place == self._outbox.place
        self._moved = (0, 0)
        """The epoch of the last lease, and up to where it has marked."""
        table = _log(settings).table
        up_to = table.c.event_id <= bindparam("up_to")
        # What waits below that was never read: a sequence that was set back gave it a low id.
        since = table.c.event_id > bindparam("since")
        dispatched = {"dispatched_on": bindparam("now", type_=table.c.dispatched_on.type)}
        waits = table.c.dispatched_on.is_(None)
        these = table.c.event_id.in_(bindparam("ids", expanding=True))
        self._mark = update(table).where(up_to, since, waits).values(dispatched)
        self._mark_these = update(table).where(these, waits).values(dispatched)
        self._unmark = (
            update(table)
            .where(table.c.event_id > bindparam("after"), table.c.dispatched_on.is_not(None))
            .values(dispatched_on=None)
        )
        self._below = (
            select(table.c.event_id)
            .where(up_to, waits)
            .order_by(table.c.event_id)
            .limit(bindparam("most"))
        )
        self._told_below: list[int] = []
        self._table_name = table.name
        self._removes = settings.then == "remove"
        # The row at the position stays, marked: it shows that the position is of this outbox.
        below = table.c.event_id < bindparam("up_to")
        done = and_(below, or_(since, table.c.dispatched_on.is_not(None)))
        self._remove = delete(table).where(done)
        self._done = select(table.c.event_id).where(done)
        self._remove_these = delete(table).where(these)

    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        lease = super().acquire_lease(exchange_name, owner, seconds, in_place_of=in_place_of)
        with suppress(TidingsError):  # the run begins with what meets it, too
            self._tell_what_waits_below(lease)
        return lease

    def _tell_what_waits_below(self, lease: Lease) -> None:
        """Name what waits though the exchange has passed it: one look at the table's index."""
        position = lease.position.event_id
        below = self._waiting_up_to(position, set()) if position else []
        if below:
            # What has just gone into quarantine is marked when the position next moves.
            below = self._waiting_up_to(position, self._quarantined(lease.exchange_name))
        if below and below != self._told_below:
            log.warning(
                "%s has passed event %d, and below it there wait, in the table %r: %s. A sequence "
                "that was set back may have given them these ids, or a replay has passed them. "
                "`tidings replay %s --from %d` sends them, and again what the table has above.",
                lease.exchange_name,
                position,
                self._table_name,
                named(below),
                lease.exchange_name,
                below[0],
            )
        self._told_below = below

    def _waiting_up_to(self, position: int, spared: Collection[int]) -> list[int]:
        with self._outbox.autocommit() as connection:
            asked = {"up_to": position, "most": len(spared) + MOST_NAMED + 1}
            found = connection.execute(self._below, asked).scalars()
            return [event_id for event_id in found if event_id not in spared]

    def _quarantined(self, exchange_name: str) -> Collection[int]:
        with self.database.autocommit() as connection:
            return quarantine.ids(connection, exchange_name)

    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        up_to = event.event_id
        epoch, marked = self._moved
        since = marked if epoch == lease.epoch else lease.position.event_id
        is_first = epoch != lease.epoch
        # What must stay to be tried again. Only the lease's holder puts more there.
        quarantined = self._quarantined(exchange_name) if is_first or self._removes else ()
        # Under this lease, what goes there lies behind what was marked.
        unmarked = sorted(quarantined) if is_first else []

        def dispatch(connection: Connection) -> None:
            dispatched = {"up_to": up_to, "since": since}
            if self._removes and quarantined:
                done = connection.execute(self._done, dispatched).scalars()
                _each(
                    connection, self._remove_these, [id_ for id_ in done if id_ not in quarantined]
                )
            elif self._removes:
                connection.execute(self._remove, dispatched)
            connection.execute(self._mark, dispatched | {"now": datetime.now(UTC)})
            self._mark_only(unmarked, connection)

        self._track_and(self._here(dispatch), exchange_name, event, lease)
        self._moved = (lease.epoch, up_to)

    @override
    def note_retry(self, event_id: int, reason: str | None, lease: Lease) -> None:
        mark = self._here(partial(self._mark_only, [event_id]))
        self._note_retry_and(mark, event_id, reason, lease)

    @override
    def drop_quarantined(self, exchange_name: str, event_id: int) -> bool:
        mark = self._here(partial(self._mark_only, [event_id]))
        return self._drop_and(mark, exchange_name, event_id)

    def _mark_only(self, ids: Sequence[int], connection: Connection) -> None:
        _each(connection, self._mark_these, ids, now=datetime.now(UTC))

    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        def unmark(connection: Connection) -> None:
            connection.execute(self._unmark, {"after": after_event_id})

        here = self._here(unmark)
        return self._replay_and(here, exchange_name, after_event_id, generation)

    def _here(self, effect: Effect) -> Effect:
        """Let an effect happen in the outbox's database, under the lock of the tracker's row."""
        if self._is_beside:
            return effect

        def elsewhere(_tracker_connection: Connection) -> None:
            with self._outbox.transaction() as connection:
                effect(connection)

        return elsewhere

    @override
    def close(self) -> None:
        self._outbox.close()
        super().close()


def _each(
    connection: Connection, statement: UpdateBase, ids: Sequence[int], **parameters: Any
) -> None:
    """Let a statement change the rows of these ids, a few at a time."""
    for start in range(0, len(ids), MOST_IDS):
        connection.execute(statement, parameters | {"ids": ids[start : start + MOST_IDS]})
