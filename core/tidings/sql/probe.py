"""A cheap question, asked all the time while a relay is idle: was anything committed.

Asked of the driver itself, since SQLAlchemy's way there costs more than the answer.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from tidings.errors import StoreUnavailableError
from tidings.interfaces import Waited

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Dialect

    from tidings.sql.event_log import EventLog

DELAYS = {"sqlite": 0.011, "postgresql": 0.01, "mysql": 0.02}
"""Seconds between two questions. An event waits for half of it, and each question costs CPU."""


class Probe:
    """One reader's look at what says that something was committed, on the reader's connection.

    SQLite counts what other connections commit, and tells it without reading anything. Elsewhere
    it is the newest id. Who fills a gap below it is not noticed: that is seen by the next read.
    """

    def __init__(self, dialect_name: str, event_log: EventLog) -> None:
        """Know nothing yet."""
        self._delay = DELAYS[dialect_name]
        self._event_log = event_log
        self._answer: Any = None
        self._ask: Callable[[], Any] | None = None

    def begin(self) -> None:
        """Take note of a new connection."""
        self._answer = self._ask = None

    def wait(self, connection: Connection, seconds: float) -> Waited:
        """Return whether there may be something new, or the time is up.

        Raises if the connection is found lost.
        """
        until = time.monotonic() + seconds
        try:
            ask = self._ask = self._ask or _asker(connection, self._event_log)
            while (answer := ask()) == self._answer:
                if (left := until - time.monotonic()) <= 0:
                    return Waited.TIME_IS_UP
                time.sleep(min(self._delay, left))
        except connection.dialect.loaded_dbapi.Error as error:
            raise StoreUnavailableError(f"The connection was lost: {error}") from error
        self._answer = answer
        return Waited.MAY_BE_NEW


def _asker(connection: Connection, event_log: EventLog) -> Callable[[], Any]:
    """Return what asks the question once; it raises an error of the driver's."""
    question = _question(connection.dialect, event_log)
    if connection.dialect.driver == "psycopg":
        # Its cursor is of Python, and takes twice as long as the library below it.
        return partial(_ask_libpq, connection.connection.driver_connection, question.encode())
    cursor = connection.connection.cursor()

    def ask() -> Any:
        cursor.execute(question)
        return cursor.fetchall()  # all: an open statement would keep SQLite's read transaction

    return ask


def _ask_libpq(driver: Any, question: bytes) -> list[tuple[Any]]:
    import psycopg  # noqa: PLC0415 - only if it is the driver

    result = driver.pgconn.exec_(question)
    if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError(result.error_message.decode(errors="replace"))
    return [(result.get_value(0, 0),)]


def _question(dialect: Dialect, event_log: EventLog) -> str:
    if dialect.name == "sqlite":
        return "PRAGMA data_version"
    table = dialect.identifier_preparer.format_table(event_log.table)
    return f"SELECT max({event_log.table.c.event_id.name}) FROM {table}"  # noqa: S608 - our own names
