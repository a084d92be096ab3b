"""PostgreSQL: hold at a gap, and let the lock table settle it.

An INSERT takes ``RowExclusiveLock`` on its table before it draws an id and keeps it to the end of
its transaction, and a commit is visible before its locks go. So whoever may still fill a gap holds
that lock from before the gap could be seen. Once all who held it then have gone, a snapshot taken
*after* that shows what they committed: an id missing from it was rolled back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from tidings.interfaces import Hold
from tidings.sql.commit_order.base import CommitOrder
from tidings.sql.commit_order.postgresql_checks import check_sequence, quoted_name, refuse_standby

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from tidings.event import StoredEvent
    from tidings.sql.event_log import EventLog

# An insert straight into a partition locks that partition alone. Another database's tables may
# have the same oid.
_EVENT_LOCKS = """
    FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.relation IN (SELECT CAST(:log AS regclass)
                         UNION SELECT relid FROM pg_partition_tree(CAST(:log AS regclass)))
"""
_HOLDERS = text(f"SELECT DISTINCT l.virtualtransaction {_EVENT_LOCKS}")

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

_MAX_UNSETTLED = 64


@dataclass(slots=True)
class _Unsettled:
    """Who may still fill the gaps below an id."""

    horizon: int
    """The newest id that was visible when ``holders`` were read."""
    holders: set[str]
    """Of those, who was still there when last looked for, by virtual transaction."""
    since: float


class PostgreSQLCommitOrder(CommitOrder):
    """What one reader, on one connection, knows of the gaps in the ids."""

    def __init__(self, log: EventLog) -> None:
        """Know nothing yet of ``log``."""
        super().__init__(log)
        self._settled_to = 0
        """No id up to here that is missing will ever appear."""
        self._unsettled: list[_Unsettled] = []
        """By ascending horizon."""
        self._held_at: int | None = None
        """The missing id that ended the last read."""

    def begin(self, connection: Connection) -> None:
        """Forget the last connection's holders; refuse a standby."""
        self._settled_to = 0
        self._unsettled = []
        self._held_at = None
        refuse_standby(connection)

    def check(self, connection: Connection) -> None:
        """Refuse a standby, and ids that are not drawn one by one."""
        refuse_standby(connection)
        check_sequence(connection, self.log)

    def events_since(self, connection: Connection, since: int, limit: int) -> list[StoredEvent]:
        """Return events up to the first gap that may still be filled."""
        # In this order: who has gone by now has committed before the snapshot of the rows.
        live = self._live(connection)
        events = self.log.events_since(connection, since, limit)
        self._settle(live)
        while True:
            whole = self._length_before_gap(events, since)
            if whole == len(events):
                self._held_at = None
                return events
            last = events[whole - 1].event_id if whole else since
            missing = max(last, self._settled_to) + 1
            if self._is_awaited(missing) or not self._nobody_holds(connection):
                self._held_at = missing
                return events[:whole]
            # All who could fill the gap had gone before this new snapshot.
            horizon = self._unsettled.pop().horizon
            events = self.log.events_since(connection, since, limit)
            self._settled_to = max(self._settled_to, horizon)

    def hold(self, connection: Connection) -> Hold | None:
        """Name the oldest of the transactions that may fill the gap."""
        missing = self._held_at
        if missing is None:
            return None
        awaited = next((u for u in self._unsettled if u.horizon >= missing), None)
        if awaited is None:
            return None
        oldest = connection.execute(
            _OLDEST, {"holders": sorted(awaited.holders), "log": quoted_name(self.log)}
        ).one_or_none()
        if oldest is None:
            return None
        pid, gid, seconds = oldest
        holder = f"process {pid}" if pid is not None else f"prepared transaction {gid!r}"
        if seconds is None:  # the ages of other users' transactions are not shown to everybody
            seconds = time.monotonic() - awaited.since
        return Hold(missing, holder, float(seconds))

    def _live(self, connection: Connection) -> frozenset[str]:
        if not self._unsettled:
            return frozenset()
        return self._holders(connection)

    def _settle(self, live: frozenset[str]) -> None:
        """Pass the gaps whose every holder has gone."""
        for unsettled in self._unsettled:
            unsettled.holders &= live
            if not unsettled.holders:
                self._settled_to = max(self._settled_to, unsettled.horizon)
        self._unsettled = [u for u in self._unsettled if u.horizon > self._settled_to]

    def _length_before_gap(self, events: Sequence[StoredEvent], since: int) -> int:
        """Return how many of ``events`` come before the first gap that isn't settled."""
        if not events or events[-1].event_id <= self._settled_to:
            return len(events)
        if since >= self._settled_to and events[-1].event_id - since == len(events):
            return len(events)
        last = since
        for index, stored in enumerate(events):
            event_id = stored.event_id
            if event_id != last + 1 and event_id - 1 > self._settled_to:
                return index
            last = event_id
        return len(events)

    def _is_awaited(self, missing: int) -> bool:
        """Return whether the holders who may fill this gap are remembered."""
        return bool(self._unsettled) and missing <= self._unsettled[-1].horizon

    def _nobody_holds(self, connection: Connection) -> bool:
        """Remember who may fill the gaps below the newest id; return whether there is nobody."""
        # In this order: who draws an id after the newest was seen draws a greater one.
        horizon = self.log.newest_id(connection) or 0
        holders = set(self._holders(connection))
        if len(self._unsettled) == _MAX_UNSETTLED and holders:
            self._unsettled.pop()  # who held then and still does is among the new holders
        self._unsettled.append(_Unsettled(horizon, holders, time.monotonic()))
        return not holders

    def _holders(self, connection: Connection) -> frozenset[str]:
        return frozenset(connection.execute(_HOLDERS, {"log": quoted_name(self.log)}).scalars())
