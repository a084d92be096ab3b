"""The statements for exchanges that somebody has paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, select, update

from tidings.interfaces import Pause
from tidings.sql.driver import holdable
from tidings.sql.tables import event_published_message_tracker as tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

_of_exchange = tracker.c.type_name == bindparam("exchange")
_is_paused = tracker.c.paused_on.is_not(None)
_COLUMNS = [tracker.c.paused_by, tracker.c.paused_reason, tracker.c.paused_on]
_FIND = select(*_COLUMNS).where(and_(_of_exchange, _is_paused))
_NAMES = select(tracker.c.type_name).where(_is_paused)
_PAUSE = update(tracker).where(and_(_of_exchange, ~_is_paused))
_RESUME = (
    update(tracker)
    .where(and_(_of_exchange, _is_paused))
    .values({column.name: None for column in _COLUMNS})
)


def put(connection: Connection, exchange_name: str, pause: Pause) -> bool:
    """Note it beside the exchange's position, which must be there, unless one is noted."""
    row = {
        "paused_by": holdable(connection, pause.paused_by),
        "paused_reason": pause.reason and holdable(connection, pause.reason),
        "paused_on": pause.paused_on,
    }
    return connection.execute(_PAUSE.values(row), {"exchange": exchange_name}).rowcount > 0


def end(connection: Connection, exchange_name: str) -> bool:
    """Take it away; return whether there was one."""
    return connection.execute(_RESUME, {"exchange": exchange_name}).rowcount > 0


def find(connection: Connection, exchange_name: str) -> Pause | None:
    """Return what is noted."""
    row = connection.execute(_FIND, {"exchange": exchange_name}).one_or_none()
    return None if row is None else of_row(row)


def names(connection: Connection) -> Sequence[str]:
    """Return the names of the exchanges for which one is noted."""
    return connection.execute(_NAMES).scalars().all()


def of_row(row: Row[Any]) -> Pause | None:
    """Return what a row of the table says."""
    if row.paused_on is None:
        return None
    return Pause(row.paused_by or "", row.paused_reason, row.paused_on)
