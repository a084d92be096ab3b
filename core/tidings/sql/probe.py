"""A cheap question, asked all the time while a relay is idle: was anything committed.

Asked of the driver itself, since SQLAlchemy's way there costs more than the answer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tidings.errors import StoreUnavailableError
from tidings.interfaces import Waited
from tidings.sql.tables import quoted_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.event_log import EventLog

PAUSES = {"sqlite": 0.008, "postgresql": 0.01, "mysql": 0.015}
"""Seconds between two questions: what each costs decides."""


class Probe:
    """One reader's look at what says that something was committed, on the reader's connection.

    SQLite counts what other connections commit, and tells it without reading anything. Elsewhere
    it is the newest id. Who fills a gap below it is not noticed: that is seen by the next read.
    """

    def __init__(self, dialect_name: str, log: EventLog) -> None:
        """Know nothing yet."""
        self._pause = PAUSES[dialect_name]
        newest = f"SELECT max({log.table.c.event_id.name}) FROM {quoted_name(log.table)}"  # noqa: S608 - our own names
        self._question = "PRAGMA data_version" if dialect_name == "sqlite" else newest
        self._answer: Any = None

    def begin(self) -> None:
        """Take note of a new connection."""
        self._answer = None

    def wait(self, connection: Connection, seconds: float) -> Waited:
        """Return whether there may be something new, or the time is up.

        Raises if the connection is found lost.
        """
        until = time.monotonic() + seconds
        while (answer := self._ask(connection)) == self._answer:
            if (left := until - time.monotonic()) <= 0:
                return Waited.TIME_IS_UP
            time.sleep(min(self._pause, left))
        self._answer = answer
        return Waited.MAY_BE_NEW

    def _ask(self, connection: Connection) -> tuple[Any, ...]:
        driver = connection.connection
        try:
            cursor = driver.cursor()
            try:
                cursor.execute(self._question)
                return tuple(cursor.fetchone() or ())
            finally:
                cursor.close()
        except connection.dialect.loaded_dbapi.Error as error:
            raise StoreUnavailableError(f"The connection was lost: {error}") from error
