"""Reading what waits in an outbox, for one who takes it out in a transaction of its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError

from tidings.errors import EventStoreError, UnreadableEventError
from tidings.sql.event_log import EventLog
from tidings.sql.failures import leaves_the_transaction, translated
from tidings.sql.reading import Reader
from tidings.sql.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from tidings.event import StoredEvent
    from tidings.sql.commit_order.base import Query, Row

MOST_UNREADABLE = 100
"""How many rows that cannot be read are passed to come to those that can."""

_NAME = "the application's database"

Result = TypeVar("Result")


def take(
    connection: Connection, event_log: EventLog, limit: int
) -> list[StoredEvent | UnreadableEventError]:
    """Return the oldest events that wait, ``limit`` at most, and keep others off them.

    As the event store reads: bodies and metadata of 2 MiB at most, or one event, up to a row that
    cannot be read. Such rows, once they are the oldest of all, stand before the events.

    What the database says against it comes as SQLAlchemy's own error.
    """
    taking = _taking(event_log, any_charset=connection.dialect.name in MYSQL)
    found: list[StoredEvent | UnreadableEventError] = []
    since = 0
    while len(found) < MOST_UNREADABLE:
        # A new one: what it has learnt of the rows before says nothing of these.
        reader = Reader(taking, _AsTheyAre(), _NAME, _Asking(connection))
        try:
            found += reader.events_since(since, limit)
        except UnreadableEventError as error:
            found.append(error)
            since = error.event_id
        except EventStoreError as error:
            raise (error.__cause__ if isinstance(error.__cause__, DBAPIError) else error) from None
        else:
            break
    return found


class _AsTheyAre:
    """Gives what is committed: who shares an outbox out among workers waits for no gap."""

    def rows_since(
        self, connection: Connection, query: Query[Row], since: int, limit: int
    ) -> list[Row]:
        return query(connection, since, limit)


class _Asking:
    """Asks on the caller's connection, and lets the reader see if a row may be the cause."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, query: Callable[[Connection], Result], /) -> Result:
        try:
            return query(self._connection)
        except DBAPIError as error:
            if not leaves_the_transaction(error):
                raise
            raise translated(error, _NAME, ()) from error


@cache
def _taking(event_log: EventLog, *, any_charset: bool) -> EventLog:
    return EventLog(event_log.table, event_log.pending, takes=True, any_charset=any_charset)
