"""PostgreSQL: hold at a gap, and let the lock table decide about it.

An INSERT takes ``RowExclusiveLock`` on its table before it draws an id, and keeps it to the end of
its transaction. A commit is visible before its locks go. So whoever may still fill a gap holds that
lock from before the gap could be seen. Once all who held it then have gone, a snapshot taken
*after* that shows what they committed: an id missing from it was rolled back.
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
    refuse_low_sequence,
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

# An insert straight into a partition, or into a table that inherits, locks that one alone. Another
# database's tables may have the same oid.
_EVENT_LOCKS = f"""
    FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.relation IN ({TABLES})
"""  # noqa: S608 - a constant of ours
_HOLDERS = text(f"SELECT DISTINCT l.virtualtransaction {_EVENT_LOCKS}")

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
    FROM (SELECT DISTINCT l.virtualtransaction, l.pid {_EVENT_LOCKS}) h
    LEFT JOIN pg_stat_activity a ON a.pid = h.pid
    LEFT JOIN pg_locks x ON h.pid IS NULL AND x.locktype = 'transactionid'
         AND x.virtualtransaction = h.virtualtransaction AND x.mode = 'ExclusiveLock'
    LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
    WHERE h.virtualtransaction = ANY(:holders)
    ORDER BY 3 DESC NULLS LAST
    LIMIT 1
    """  # noqa: S608 - a constant of ours
)

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
        """Refuse a sequence that was set back since :meth:`check`, and a new subscription."""
        refuse_replica(connection, self.event_log)
        refuse_hidden_rows(connection, self.event_log)
        if self._sequence is not None:
            refuse_low_sequence(connection, self.event_log, self._sequence)
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
        oldest = connection.execute(
            _OLDEST, {"holders": sorted(awaited.holders), "log": quoted_name(self.event_log.table)}
        ).one_or_none()
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
        if self._sequence is None:  # nobody has let this reader check itself
            self._sequence = sequence_of(connection, self.event_log)
        asked = {"sequence": self._sequence, "log": quoted_name(self.event_log.table)}
        since, cache, increment, cycles, hides = connection.execute(_STILL, asked).one()
        if hides:
            refuse_hidden_rows(connection, self.event_log)
        if cache is not None:
            refuse_cache(self._sequence, cache)
            refuse_descent(self._sequence, increment, cycles=cycles)
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
        for undecided in self._undecided:
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
        return frozenset(
            connection.execute(_HOLDERS, {"log": quoted_name(self.event_log.table)}).scalars()
        )
