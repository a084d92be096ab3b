"""The renewal of many leases at once.

The renewal locks their rows, and waits for none that somebody else has locked. A replay may hold
one row for long, or an outbox as its position moves. No other exchange may lose its lease by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from tidings.sql.tables import event_published_message_tracker as tracker
from tidings.sql.types import DatabaseClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Select

    from tidings.interfaces import Lease

MOST_NAMES = 500
"""In one statement; databases bound how many parameters one may have."""
_of_exchanges = tracker.c.type_name.in_(bindparam("names", expanding=True))
_HOLDERS = select(tracker.c.type_name, tracker.c.lease_epoch, tracker.c.lease_owner).where(
    _of_exchanges
)
_LOCKED = _HOLDERS.with_for_update(skip_locked=True)
_RENEW = (
    update(tracker)
    .where(_of_exchanges)
    .values(lease_expires=DatabaseClock() + bindparam("seconds"))
)


def renew(connection: Connection, leases: Sequence[Lease]) -> Mapping[Lease, bool]:
    """Renew ``leases`` in the caller's transaction; say of each whether it runs on.

    One whose row is locked by another transaction is missing, unless it is known to be lost.
    """
    locked = _held(connection, _LOCKED, leases)
    answers = {lease: True for lease in leases if lease in locked}
    for seconds in {lease.seconds for lease in answers}:
        names = [lease.exchange_name for lease in answers if lease.seconds == seconds]
        for some in _parts(names):
            connection.execute(_RENEW, {"names": some, "seconds": seconds})
    others = [lease for lease in leases if lease not in locked]
    held = _held(connection, _HOLDERS, others)
    return answers | {lease: False for lease in others if lease not in held}


def _held(connection: Connection, query: Select[Any], leases: Sequence[Lease]) -> set[Lease]:
    """Return those of ``leases`` that are still held, as far as ``query`` sees them."""
    holders = {
        (row.type_name, row.lease_epoch, row.lease_owner)
        for names in _parts([lease.exchange_name for lease in leases])
        for row in connection.execute(query, {"names": names})
    }
    return {each for each in leases if (each.exchange_name, each.epoch, each.owner) in holders}


def _parts(names: Sequence[str]) -> Sequence[Sequence[str]]:
    return [names[start : start + MOST_NAMES] for start in range(0, len(names), MOST_NAMES)]
