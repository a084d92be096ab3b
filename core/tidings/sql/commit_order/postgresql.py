"""PostgreSQL: hold at a gap, and let the lock table decide about it.

An INSERT takes ``RowExclusiveLock`` on its table before it draws an id, and keeps it to the end of
its transaction. A commit is visible before its locks go. So whoever may still fill a gap holds that
lock from before the gap could be seen. Once all who held it then have gone, a snapshot taken
*after* that shows what they committed: an id missing from it was rolled back.

The table may be one that becomes a partition of the events', or inherits from it, only with that
transaction. So whoever has drawn an id, as the lock on the sequence shows, and writes to a table
that may become such a one, is waited for, too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from typing_extensions import override

from tidings.errors import StoreUnavailableError
from tidings.interfaces import Hold
from tidings.sql.commit_order.base import CommitOrder
from tidings.sql.commit_order.hidden_rows import refuse_hidden_rows
from tidings.sql.commit_order.low_ids import renumber
from tidings.sql.commit_order.postgresql_checks import (
    TABLES,
    check_sequence,
    refuse_cache,
    refuse_descent,
    refuse_pruned,
    refuse_replica,
    sequence_of,
)
from tidings.sql.commit_order.pruned_ids import remember_pruned
from tidings.sql.tables import quoted_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.commit_order.base import Query, Row
    from tidings.sql.event_log import EventLog

# An insert straight into a partition, or into a table that inherits, locks that one alone. What may
# become one has a column of that name, or is in no catalog that we see. Another database's tables
# may have the same oid.
_HOLDING = f"""
    SELECT l.virtualtransaction, min(l.pid) AS pid
    FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.granted
      AND l.mode IN ('RowExclusiveLock', 'AccessExclusiveLock')
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY l.virtualtransaction
    HAVING bool_or(l.mode = 'RowExclusiveLock' AND l.relation IN ({TABLES}))
        OR bool_or(l.relation = to_regclass(CAST(:sequence AS text)))
       AND bool_or(
           (SELECT c.oid FROM pg_class c WHERE c.oid = l.relation) IS NULL
           OR (
               SELECT a.attnum FROM pg_attribute a
               WHERE a.attrelid = l.relation AND a.attname = :column
           ) IS NOT NULL
       )
"""  # noqa: S608 - a constant of ours
_HOLDERS = text(f"SELECT h.virtualtransaction FROM ({_HOLDING}) h")  # noqa: S608 - as above

_SERVER_SINCE = text("SELECT pg_postmaster_start_time()")

_STILL = text(
    """
    SELECT pg_postmaster_start_time(), s.seqcache, s.seqincrement, s.seqcycle,
           row_security_active(CAST(:log AS regclass))
    FROM (VALUES (1)) one
    LEFT JOIN pg_sequence s ON s.seqrelid = to_regclass(CAST(:sequence AS text))
    """
)

# A prepared transaction has no process; its name stands beside its transaction id.
_OLDEST = text(
    f"""
    SELECT h.pid, p.gid,
           extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))
    FROM ({_HOLDING}) h
    LEFT JOIN pg_stat_activity a ON a.pid = h.pid
    LEFT JOIN pg_locks x ON h.pid IS NULL AND x.locktype = 'transactionid'
         AND x.virtualtransaction = h.virtualtransaction AND x.mode = 'ExclusiveLock'
    LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
    WHERE h.virtualtransaction = ANY(:holders)
    ORDER BY 3 DESC NULLS LAST
    LIMIT 1
    """  # noqa: S608 - a constant of ours
)

_PREPARED = "-1/"
"""How a prepared transaction is named before PostgreSQL 13.5 and 14.1, and after a restart.

Since those versions it keeps the name that it had before it was prepared.
"""
_MAX_UNDECIDED = 64


@dataclass(slots=True)
class _Undecided:
    """Who may still fill the gaps below an id."""

    horizon: int
    """The newest id that was visible when ``holders`` were read."""
    holders: set[str]
    """Of those, who was still there when last looked for, by virtual transaction."""
    since: float


class PostgreSQLCommitOrder(CommitOrder):
    """What one reader, on one connection, knows of the gaps in the ids."""

    def __init__(self, event_log: EventLog) -> None:
        """Know nothing yet of ``event_log``."""
        super().__init__(event_log)
        self._sequence: str | None = None
        self._undecided: list[_Undecided] = []
        """By ascending horizon."""
        self._held_at: int | None = None
        """The missing id that ended the last read."""
        self._server_since: object = None
        """When the server was started of which all this is known."""

    @override
    def begin(self, connection: Connection) -> None:
        """Forget the last connection's holders; refuse a replica, and a user who sees not all."""
        super().begin(connection)
        self._undecided = []
        self._held_at = None
        self._server_since = connection.execute(_SERVER_SINCE).scalar_one()
        refuse_replica(connection, self.event_log)
        refuse_hidden_rows(connection, self.event_log)

    @override
    def check(self, connection: Connection) -> None:
        """Refuse a replica, and ids that are not drawn one by one."""
        refuse_replica(connection, self.event_log)
        refuse_hidden_rows(connection, self.event_log)
        self._sequence = check_sequence(connection, self.event_log)
        refuse_pruned(connection, self.event_log)

    @override
    def watch(self, connection: Connection) -> None:
        """Refuse a sequence that was set back or exchanged since, and a new subscription."""
        refuse_replica(connection, self.event_log)
        refuse_hidden_rows(connection, self.event_log)
        if self._sequence is not None:
            self._sequence = check_sequence(connection, self.event_log)
        refuse_pruned(connection, self.event_log)

    @override
    def refuse_pruned(self, connection: Connection) -> None:
        """Refuse events with ids that a sequence gave out again after they had been pruned."""
        refuse_pruned(connection, self.event_log)

    @override
    def note_pruned(self, connection: Connection, up_to: int) -> None:
        remember_pruned(connection, self.event_log, up_to)

    @override
    def renumber(self, connection: Connection) -> list[int]:
        """Give the events new ids that a sequence which was set back gave low ones."""
        return renumber(connection, self.event_log, sequence_of(connection, self.event_log))

    @override
    def rows_since(
        self, connection: Connection, query: Query[Row], since: int, limit: int
    ) -> list[Row]:
        """Return rows up to the first gap that may still be filled."""
        rows = self._decided_rows(connection, query, since, limit)
        if rows and rows[-1].event_id - since > len(rows):
            self._refuse_what_changed(connection)
        return rows

    def _decided_rows(
        self, connection: Connection, query: Query[Row], since: int, limit: int
    ) -> list[Row]:
        # In this order: who has gone by now has committed before the snapshot of the rows.
        live = self._live(connection)
        rows = query(connection, since, limit)
        self._decide(live)
        while True:
            whole = self._length_before_gap(rows, since)
            if whole == len(rows):
                self._held_at = None
                return rows
            last = rows[whole - 1].event_id if whole else since
            missing = max(last, self._decided_to) + 1
            if self._is_awaited(missing) or not self._nobody_holds(connection):
                self._held_at = missing
                return rows[:whole]
            # All who could fill the gap had gone before this new snapshot.
            horizon = self._undecided.pop().horizon
            rows = query(connection, since, limit)
            self._decided_to = max(self._decided_to, horizon)

    @override
    def hold(self, connection: Connection) -> Hold | None:
        """Name the oldest of the transactions that may fill the gap, or could at the last read."""
        missing = self._held_at
        if missing is None:
            return None
        awaited = next((u for u in self._undecided if u.horizon >= missing), None)
        if awaited is None:
            return None
        asked = {"holders": sorted(awaited.holders), **self._asked(connection)}
        oldest = connection.execute(_OLDEST, asked).one_or_none()
        waited = time.monotonic() - awaited.since
        if oldest is None:  # nothing tells of what it has committed but the next read
            return Hold(missing, "a transaction that has just ended", waited)
        pid, gid, seconds = oldest
        holder = f"process {pid}" if pid is not None else f"prepared transaction {gid!r}"
        # The ages of other users' transactions are not shown to everybody.
        return Hold(missing, holder, waited if seconds is None else float(seconds))

    def _refuse_what_changed(self, connection: Connection) -> None:
        """Raise if a gap was passed by what is known of another server, or is a cache of ids.

        A pooler hides from us that the server was restarted, or that another one took its place.
        There a prepared transaction holds its locks under another name, and ids that were decided
        may be drawn again. Asked last: if the server is the old one now, it was all the while.

        Somebody may give the sequence a cache under us. An id that is drawn ahead is in nobody's
        transaction yet. Before it shows as a gap, the sequence shows the cache. The same goes for a
        sequence that somebody lets descend. Rows may be hidden from us, too, from one moment to the
        next.
        """
        asked = self._asked(connection)
        since, cache, increment, cycles, hides = connection.execute(_STILL, asked).one()
        if hides:
            refuse_hidden_rows(connection, self.event_log)
        if cache is not None:
            refuse_cache(asked["sequence"], cache)
            refuse_descent(asked["sequence"], increment, cycles=cycles)
        if since != self._server_since:
            raise StoreUnavailableError(
                "PostgreSQL was restarted behind its pooler, or is another server now. What is "
                "there is looked at afresh."
            )

    def _live(self, connection: Connection) -> frozenset[str]:
        if not self._undecided:
            return frozenset()
        return self._holders(connection)

    def _decide(self, live: frozenset[str]) -> None:
        """Pass the gaps whose every holder has gone."""
        prepared = {each for each in live if each.startswith(_PREPARED)}
        for undecided in self._undecided:
            if not undecided.holders <= live:
                undecided.holders |= prepared  # perhaps who was there before, by another name
            undecided.holders &= live
            if not undecided.holders:
                self._decided_to = max(self._decided_to, undecided.horizon)
        self._undecided = [u for u in self._undecided if u.horizon > self._decided_to]

    def _is_awaited(self, missing: int) -> bool:
        """Return whether the holders who may fill this gap are remembered."""
        return bool(self._undecided) and missing <= self._undecided[-1].horizon

    def _nobody_holds(self, connection: Connection) -> bool:
        """Remember who may fill the gaps below the newest id; return whether there is nobody."""
        # In this order: who draws an id after the newest was seen draws a greater one.
        horizon = self.event_log.newest_id(connection) or 0
        holders = set(self._holders(connection))
        if len(self._undecided) == _MAX_UNDECIDED and holders:
            self._undecided.pop()  # who held then and still does is among the new holders
        self._undecided.append(_Undecided(horizon, holders, time.monotonic()))
        return not holders

    def _holders(self, connection: Connection) -> frozenset[str]:
        return frozenset(connection.execute(_HOLDERS, self._asked(connection)).scalars())

    def _asked(self, connection: Connection) -> dict[str, str]:
        """Return the names of the table, of the column of its ids, and of their sequence."""
        if self._sequence is None:  # nobody has let this reader check itself
            self._sequence = sequence_of(connection, self.event_log)
        table = self.event_log.table
        names = {"log": quoted_name(table), "column": table.c.event_id.name}
        return {**names, "sequence": self._sequence}
