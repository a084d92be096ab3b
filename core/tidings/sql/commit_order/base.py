"""What a reader must know of the order of commits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy import Connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import Hold
    from tidings.sql.event_log import EventLog


class HasId(Protocol):
    """What is known of an event, which is at least its id."""

    @property
    def event_id(self) -> int:
        """Its place in the order."""


Row = TypeVar("Row", bound=HasId)

Query = Callable[[Connection, int, int], list[Row]]
"""Reads, in one statement, up to so many visible events after an id: ``query(c, since, limit)``."""


class CommitOrder(ABC):
    """One reader's way to never give an event while one with a lower id may still appear.

    Every method gets the reader's connection, on which each statement is its own transaction.
    """

    def __init__(self, event_log: EventLog) -> None:
        """Know nothing yet of ``event_log``."""
        self.event_log = event_log
        self._decided_to = 0
        """No id up to here that is missing will ever appear."""

    @abstractmethod
    def rows_since(
        self, connection: Connection, query: Query[Row], since: int, limit: int
    ) -> list[Row]:
        """Return up to ``limit`` rows after ``since``, up to the first id that may come yet.

        ``query`` is one of the event log's; it is asked again if the first answer isn't enough.
        """

    @abstractmethod
    def check(self, connection: Connection) -> None:
        """Raise :class:`~tidings.errors.UnsafeStoreError` if the order cannot be known."""

    def renumber(self, connection: Connection) -> list[int]:  # noqa: ARG002 - as for `hold`
        """Give events new ids that were committed under ids which readers have passed.

        In the transaction that runs on ``connection``. Return the ids that they had: none if
        the database gives no id twice.
        """
        return []

    @abstractmethod
    def watch(self, connection: Connection) -> None:
        """Raise if what :meth:`check` found is no longer so, in cheap statements."""

    def refuse_pruned(self, connection: Connection) -> None:  # noqa: B027 - as for `hold`
        """Raise if events have ids of others that were pruned."""

    def note_pruned(self, connection: Connection, up_to: int) -> None:  # noqa: B027 - as for `hold`
        """Note that events up to that id were deleted, in the transaction that deletes them."""

    def hold(self, connection: Connection) -> Hold | None:  # noqa: ARG002 - for the one that holds
        """Return what ended the last read early."""
        return None

    def begin(self, connection: Connection) -> None:  # noqa: ARG002 - for those who look at it
        """Take note of a new connection: what was known of the last one's server is void."""
        self._decided_to = 0

    def _length_before_gap(self, rows: Sequence[HasId], since: int) -> int:
        """Return how many of ``rows`` come before the first gap that isn't decided."""
        if not rows or rows[-1].event_id <= self._decided_to:
            return len(rows)
        if since >= self._decided_to and rows[-1].event_id - since == len(rows):
            return len(rows)
        last = since
        for index, row in enumerate(rows):
            event_id = row.event_id
            if event_id != last + 1 and event_id - 1 > self._decided_to:
                return index
            last = event_id
        return len(rows)
