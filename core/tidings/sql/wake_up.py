"""PostgreSQL's NOTIFY at every commit that inserted events, as a hint to look at once.

A trigger sends it, so that every writer does, whatever it is written in. Nothing rests on it: who
hears nothing looks again soon anyway.
"""

from __future__ import annotations

import time
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import text

from tidings.errors import StoreNotReadyError, StoreUnavailableError
from tidings.interfaces import Waited
from tidings.sql.schema import transaction_alone
from tidings.sql.tables import quoted_name, wake_up_channel, wake_up_statements

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn
    from sqlalchemy import Connection

    from tidings.sql.database import Database
    from tidings.sql.event_log import EventLog

_TRIGGER = text(
    "SELECT count(*) FROM pg_trigger WHERE tgrelid = CAST(:log AS regclass) "
    "AND tgname = 'tidings_wake_up' AND tgenabled IN ('O', 'A')"
)


class WakeUp:
    """One reader's ear, on the connection that it reads on."""

    def __init__(self, event_log: EventLog) -> None:
        """Hear nothing yet."""
        self._event_log = event_log
        self._listening = False
        self._heard = False

    def begin(self) -> None:
        """Take note of a new connection, on which nobody listens."""
        self._listening = False

    def wait(self, connection: Connection, seconds: float) -> Waited:
        """Return whether there may be something new, or the time is up.

        Raises if the connection is found lost.
        """
        driver: psycopg.Connection[object] = connection.connection.driver_connection  # type: ignore[assignment]
        if not self._listening:
            driver.add_notify_handler(self._hear)
            connection.exec_driver_sql(f'LISTEN "{wake_up_channel(self._event_log.table)}"')
            self._listening = True
            return Waited.MAY_BE_NEW  # nobody told us of what was committed before
        try:
            self._listen(driver.pgconn, time.monotonic() + seconds)
        except psycopg.Error as error:
            raise StoreUnavailableError(f"The connection was lost: {error}") from error
        heard, self._heard = self._heard, False
        return Waited.MAY_BE_NEW if heard else Waited.TIME_IS_UP

    def create(self, database: Database) -> None:
        """Create the trigger, if it isn't there yet."""
        with transaction_alone(database) as connection:
            if not self._is_there(connection):
                for statement in wake_up_statements(self._event_log.table):
                    connection.exec_driver_sql(statement)

    def check(self, connection: Connection, database_name: str) -> None:
        """Raise :class:`~tidings.errors.StoreNotReadyError` if nobody would be woken."""
        if not self._is_there(connection):
            raise StoreNotReadyError(
                f"{database_name} has no trigger 'tidings_wake_up' on the table "
                f"{self._event_log.table.name!r}, or it is disabled, and wake_up = true needs it. "
                "Run `tidings init --tables` (`tidings schema` shows the statements), or take "
                "wake_up out of the configuration."
            )

    def _is_there(self, connection: Connection) -> bool:
        return bool(
            connection.execute(_TRIGGER, {"log": quoted_name(self._event_log.table)}).scalar()
        )

    def _hear(self, _notification: psycopg.Notify) -> None:
        self._heard = True

    def _listen(self, pgconn: PGconn, until: float) -> None:
        # The driver's own generator knows no end of time before psycopg 3.2, and leaves out what
        # the handler was given.
        with DefaultSelector() as selector:
            selector.register(pgconn.socket, EVENT_READ)
            while True:
                while pgconn.notifies() is not None:
                    self._heard = True
                left = until - time.monotonic()
                if self._heard or left <= 0:
                    return
                if selector.select(left):
                    pgconn.consume_input()
