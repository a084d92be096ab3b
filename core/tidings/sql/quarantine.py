"""The statements for events that an exchange has passed without sending them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from tidings.event import MAX_TYPE_NAME
from tidings.interfaces import QuarantinedEvent
from tidings.sql.driver import holdable
from tidings.sql.tables import quarantined_event as table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.event import StoredEvent

_KEY = and_(
    table.c.exchange_name == bindparam("exchange"), table.c.event_id == bindparam("event_id_")
)
_COUNT = select(table.c.exchange_name, func.count().label("events")).group_by(table.c.exchange_name)
_COLUMNS = [table.c[name] for name in QuarantinedEvent._fields]


def put(connection: Connection, exchange_name: str, event: StoredEvent, reason: str) -> None:
    """Note that event, in place of what is noted of it."""
    connection.execute(delete(table).where(_KEY), _key(exchange_name, event.event_id))
    connection.execute(
        insert(table),
        {
            "exchange_name": exchange_name,
            "event_id": event.event_id,
            "type_name": holdable(connection, event.type_name)[:MAX_TYPE_NAME],
            "reason": holdable(connection, reason),
            "quarantined_on": datetime.now(UTC),
        },
    )


def find(
    connection: Connection, exchange_name: str | None, *, retry_asked: bool
) -> list[QuarantinedEvent]:
    """Return what is noted, by exchange and id."""
    query = select(*_COLUMNS).order_by(table.c.exchange_name, table.c.event_id)
    if exchange_name is not None:
        query = query.where(table.c.exchange_name == exchange_name)
    if retry_asked:
        query = query.where(table.c.retry_asked == 1)
    found = map(QuarantinedEvent._make, connection.execute(query))
    return [each._replace(retry_asked=bool(each.retry_asked)) for each in found]


def count(connection: Connection) -> dict[str, int]:
    """Return how many are noted of each exchange."""
    return {row.exchange_name: row.events for row in connection.execute(_COUNT)}


def ids(connection: Connection, exchange_name: str) -> set[int]:
    """Return the ids of what is noted of one exchange."""
    found = select(table.c.event_id).where(table.c.exchange_name == exchange_name)
    return set(connection.execute(found).scalars())


def ask_to_retry(connection: Connection, exchange_name: str, event_id: int | None) -> int:
    """Mark one event, or all; return how many there are."""
    meant = [table.c.exchange_name == exchange_name]
    if event_id is not None:
        meant.append(table.c.event_id == event_id)
    connection.execute(update(table).where(*meant).values(retry_asked=1))
    return connection.execute(select(func.count()).select_from(table).where(*meant)).scalar_one()


def still_refused(connection: Connection, exchange_name: str, event_id: int, reason: str) -> None:
    """Note why the event was refused again."""
    connection.execute(
        update(table)
        .where(_KEY)
        .values(
            reason=holdable(connection, reason), quarantined_on=datetime.now(UTC), retry_asked=0
        ),
        _key(exchange_name, event_id),
    )


def drop(connection: Connection, exchange_name: str, event_id: int) -> bool:
    """Forget the event; return whether it was there."""
    dropped = connection.execute(delete(table).where(_KEY), _key(exchange_name, event_id))
    return dropped.rowcount > 0


def take_back(connection: Connection, exchange_name: str, after_event_id: int) -> None:
    """Forget what the exchange will get again."""
    connection.execute(
        delete(table).where(
            table.c.exchange_name == exchange_name, table.c.event_id > after_event_id
        )
    )


def _key(exchange_name: str, event_id: int) -> dict[str, str | int]:
    return {"exchange": exchange_name, "event_id_": event_id}
