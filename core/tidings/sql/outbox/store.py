"""An outbox as an event store, which notices if somebody else takes events out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, false, select, text, update
from typing_extensions import override

from tidings.errors import EventStoreError, UnsafeStoreError
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.tables import quoted_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, UpdateBase

    from tidings.event import StoredEvent
    from tidings.sql.event_log import EventLog
    from tidings.sql.settings import OutboxSettings

_RIGHTS = text(
    "SELECT has_column_privilege(to_regclass(:log), 'dispatched_on', 'UPDATE') AS update, "
    "has_table_privilege(to_regclass(:log), 'DELETE') AS delete"
)


class OutboxEventStore(SqlAlchemyEventStore):
    """Gives what waits in an outbox. Only its one reader's exchange may have events dispatched.

    A second one, of another configuration perhaps, would take events away without a word. So while
    there is nothing to read, the newest row is looked at. If it was dispatched, and was never given
    to this reader, somebody else did it.
    """

    def __init__(self, settings: OutboxSettings, event_log: EventLog) -> None:
        super().__init__(settings, event_log)
        self._since: int | None = None
        """Everything up to there was given to the reader."""
        self._known = 0
        """Up to there rows may have been dispatched before our reader began."""
        self._taken = False
        """Whether somebody else was found to take events."""
        self._removes = settings.then == "remove"
        self._changes = _changes(event_log, removes=self._removes)

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        self._since = event_id  # also if what comes next cannot be read
        return super().all_stored_events_since(event_id, limit)

    @override
    def check(self) -> None:
        super().check()
        self._refuse_missing_rights()
        if self._taken:
            self._refuse_others()
        # Who had the lease before us may have marked rows that its position does not show yet.
        self._known = self._newest_dispatched()

    @override
    def watch(self) -> None:
        super().watch()
        self._refuse_others()

    def _refuse_missing_rights(self) -> None:
        """Raise if we may not change rows: what is sent and not marked is sent again and again."""
        dialect = self.database.dialect_name
        if dialect == "sqlite":  # which has no rights, and would wait for writers
            return
        with self.database.autocommit() as connection:
            if dialect == "postgresql":
                self._ask_for_rights(connection)
            else:  # where nobody can be asked
                for statement in self._changes:
                    connection.execute(statement)

    def _ask_for_rights(self, connection: Connection) -> None:
        """Raise if PostgreSQL says that a right is missing; a statement might wait for a lock."""
        table = self.event_log.table
        rights = connection.execute(_RIGHTS, {"log": quoted_name(table)}).one()._asdict()
        wanted = ("update", "delete") if self._removes else ("update",)
        missing = ", ".join(right.upper() for right in wanted if not rights[right])
        if missing:
            raise EventStoreError(
                f"{self.database.name} denies a right ({missing} on {table.name}): grant it; "
                "docs/operations.md lists them all."
            )

    def _refuse_others(self) -> None:
        newest = self._newest_dispatched()
        self._taken = self._since is not None and newest > max(self._since, self._known)
        if self._taken:
            raise UnsafeStoreError(
                f"Somebody else has dispatched event {newest} of the table "
                f"{self.event_log.table.name!r}: another relay, or a dispatcher, takes events out "
                "of this outbox too, and this exchange does not get those. Let one alone do it. "
                "Then start this relay again to go on without them. Or let it have what the table "
                f"still holds of them: `tidings replay EXCHANGE --from {(self._since or 0) + 1}`."
            )

    def _newest_dispatched(self) -> int:
        """Return the id of the newest row if it was dispatched, else 0: one look by the key."""
        table = self.event_log.table
        newest = select(table.c.event_id, table.c.dispatched_on).order_by(table.c.event_id.desc())
        row = self._read(lambda connection: connection.execute(newest.limit(1)).one_or_none())
        return 0 if row is None or row.dispatched_on is None else int(row.event_id)


def _changes(event_log: EventLog, *, removes: bool) -> list[UpdateBase]:
    """Return what changes no row, and asks for the rights to do so.

    No row is looked at either: MariaDB would wait for whoever has just written the first one.
    """
    table = event_log.table
    mark = update(table).where(false()).values(dispatched_on=None)
    return [mark, delete(table).where(false())] if removes else [mark]
