"""The statements for relays that run, and do not carry an exchange just now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, insert, select

from tidings.interfaces import IdleRelay
from tidings.sql.driver import holdable
from tidings.sql.tables import idle_relay as table
from tidings.sql.types import DatabaseClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Row

_KEPT = 3600.0
_now = DatabaseClock()
_DELETE = delete(table).where(
    and_(table.c.exchange_name == bindparam("exchange"), table.c.owner == bindparam("relay"))
)
_DELETE_OLD = delete(table).where(
    table.c.exchange_name == bindparam("exchange"), table.c.expires < _now - _KEPT
)
_INSERT = insert(table).values(expires=_now + bindparam("seconds"))
_ALIVE = select(table).where(table.c.expires > _now).order_by(table.c.since, table.c.owner)
_ALIVE_OF = _ALIVE.where(table.c.exchange_name == bindparam("exchange"))


def put(connection: Connection, exchange_name: str, relay: IdleRelay, seconds: float) -> None:
    """Note the relay, in place of what it said before, for so many seconds."""
    forget(connection, exchange_name, relay.owner)
    connection.execute(_DELETE_OLD, {"exchange": exchange_name})
    reason = None if relay.reason is None else holdable(connection, relay.reason)
    row = relay._replace(reason=reason)._asdict()
    connection.execute(_INSERT, {"exchange_name": exchange_name, "seconds": seconds, **row})


def forget(connection: Connection, exchange_name: str, owner: str) -> None:
    """Remove what the relay said, if it said anything."""
    connection.execute(_DELETE, {"exchange": exchange_name, "relay": owner})


def find(connection: Connection) -> Mapping[str, Sequence[IdleRelay]]:
    """Return those of which is known that they run, by exchange."""
    found: dict[str, list[IdleRelay]] = defaultdict(list)
    for row in connection.execute(_ALIVE):
        found[row.exchange_name].append(_of_row(row))
    return found


def find_of(connection: Connection, exchange_name: str) -> Sequence[IdleRelay]:
    """Return those of one exchange."""
    rows = connection.execute(_ALIVE_OF, {"exchange": exchange_name}).all()
    return [_of_row(row) for row in rows] or ()


def _of_row(row: Row[Any]) -> IdleRelay:
    return IdleRelay(row.owner, row.since, row.reason, row.next_try)
