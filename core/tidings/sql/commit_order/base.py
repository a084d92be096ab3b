"""What a reader must know of the order of commits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.event import StoredEvent
    from tidings.interfaces import Hold
    from tidings.sql.event_log import EventLog


class CommitOrder(ABC):
    """One reader's way to never give an event while one with a lower id may still appear.

    Every method gets the reader's connection, on which each statement is its own transaction.
    """

    def __init__(self, log: EventLog) -> None:
        """Know nothing yet of ``log``."""
        self.log = log

    @abstractmethod
    def events_since(self, connection: Connection, since: int, limit: int) -> list[StoredEvent]:
        """Return up to ``limit`` events after ``since``, up to the first id that may come yet."""

    @abstractmethod
    def check(self, connection: Connection) -> None:
        """Raise :class:`~tidings.errors.UnsafeStoreError` where the order cannot be known."""

    def hold(self, connection: Connection) -> Hold | None:  # noqa: ARG002 - for the one that holds
        """Return what ended the last read early."""
        return None

    def begin(self, connection: Connection) -> None:  # noqa: B027 - not everybody needs it
        """Take note of a new connection: what was known of the last one's server is void."""
