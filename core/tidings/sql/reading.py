"""Reading events in batches: bounded in rows and in bytes, and past no row that cannot be read."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError

from tidings.errors import EventStoreError, UnreadableEventError
from tidings.event import StoredEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from tidings.sql.commit_order.base import Query, Row
    from tidings.sql.event_log import EventLog

BATCH_BYTES: Final = 2 * 1024 * 1024
"""Bodies and metadata that are read at once; a single event may have more.

Their memory is used again for the next batch. Of much more, the C library gives it back to the
system each time, and fetching it again takes longer than the statements that are saved.
"""

Result = TypeVar("Result")


class Ask(Protocol):
    """Asks the database on the reader's connection, which is dropped if that fails."""

    def __call__(self, query: Callable[[Connection], Result], /) -> Result:
        """Return the answer."""


class Order(Protocol):
    """Says which rows may be given now: a :class:`~tidings.sql.commit_order.CommitOrder` does."""

    def rows_since(
        self, connection: Connection, query: Query[Row], since: int, limit: int
    ) -> list[Row]:
        """Return the first of what ``query`` finds, as many as may be given now."""


class Reader:
    """Reads one event log, for one thread.

    A batch is one statement as long as its rows are small, and can be read. The database itself
    leaves out bodies that are too large for it. Then it is asked for as many of them as fit. If the
    driver stumbles over a row, ever smaller batches are read until those before the row are had, or
    it is the first.
    """

    def __init__(self, event_log: EventLog, order: Order, database_name: str, run: Ask) -> None:
        self._event_log = event_log
        self._order = order
        self._database_name = database_name
        self._run = run
        self._most_rows = 2**31

    def events_since(self, since: int, limit: int) -> list[StoredEvent]:
        """Return up to ``limit`` events after ``since``, up to the first that is to be waited for.

        Or up to the first that cannot be read. If that is the very first, raises
        :class:`~tidings.errors.UnreadableEventError`.
        """
        rows = min(limit, self._most_rows)
        while True:
            try:
                events = self._run(partial(self._batch, since=since, rows=rows))
            except Exception as error:
                if not _may_be_of_a_row(error):
                    raise
                if rows == 1:
                    return self._first(since)
                self._most_rows = rows = max(rows // 8, 1)
            else:
                if rows == self._most_rows < limit and _may_double(events, rows):
                    self._most_rows = rows * 2
                return events

    def event(self, event_id: int) -> StoredEvent | None:
        """Return that event, or ``None``; raises :class:`~tidings.errors.UnreadableEventError`."""
        try:
            event = self._run(lambda connection: self._event_log.one_event(connection, event_id))
        except Exception as error:
            if not _may_be_of_a_row(error):
                raise
            raise self._unreadable(event_id, error) from error
        if event is not None and not _whole([event]):
            raise self._unreadable(event_id, None)
        return event

    def _batch(self, connection: Connection, *, since: int, rows: int) -> list[StoredEvent]:
        query = partial(self._event_log.events_since, most_bytes=BATCH_BYTES // rows)
        events = self._order.rows_since(connection, query, since, rows)
        if _whole(events) == len(events):
            return events
        measure = partial(self._event_log.ids_that_fit, most_bytes=BATCH_BYTES)
        fit = self._order.rows_since(connection, measure, since, rows)
        last = fit[-1].event_id if fit else since
        events = self._event_log.events_between(connection, since, last)
        whole = events[: _whole(events)]
        self._most_rows = max(_rows_of_that_kind(whole), 1)
        if events and not whole:
            raise _OddRowError
        return whole

    def _first(self, since: int) -> list[StoredEvent]:
        """Return the first event after ``since``, alone, or raise that it cannot be read."""
        ids = self._run(
            lambda connection: self._order.rows_since(
                connection, self._event_log.ids_since, since, 1
            )
        )
        first = self.event(ids[0].event_id) if ids else None
        return [] if first is None else [first]

    def _unreadable(self, event_id: int, cause: Exception | None) -> UnreadableEventError:
        """Find out what is wrong with the event; raises what is wrong with more than that."""
        self._run(lambda connection: self._event_log.ids_since(connection, event_id - 1, 1))
        type_name: str | None = None
        problem = _reason(cause) if cause else "it is no event"
        for field in reversed(StoredEvent._fields):
            try:
                value = self._run(
                    lambda connection, field=field: self._event_log.one_field(
                        connection, event_id, field
                    )  # type: ignore[misc]  # mypy takes a lambda's default for optional
                )
            except Exception as error:
                if not _may_be_of_a_row(error):
                    raise
                problem = f"{field}: {_reason(error)}"
                continue
            if field == "type_name" and isinstance(value, str):
                type_name = value
            if not isinstance(value, _TYPES[field]):
                problem = f"{field} is {_shown(value)}"
        named = "" if type_name is None else f" ({type_name})"
        return UnreadableEventError(
            f"Event {event_id}{named} in {self._database_name} cannot be read: {problem}. Mend "
            f"that row of the table {self._event_log.table.name!r}.",
            event_id=event_id,
            type_name=type_name,
        )


def _rows_of_that_kind(events: Sequence[StoredEvent]) -> int:
    """Return how many rows to ask for if more of them have sizes as these have.

    If so, none is too large for its part of a batch, and has to be asked for again. But if few are
    much larger than the others, small batches would cost more than that.
    """
    largest = max(map(_size, events), default=1)
    rows = BATCH_BYTES // max(largest, 1)
    return rows if rows >= len(events) // 2 else len(events)


def _may_double(events: Sequence[StoredEvent], rows: int) -> bool:
    """Return whether twice as many such rows as these, all of what was asked for, may be read."""
    if len(events) < rows:
        return False
    most = BATCH_BYTES // (rows * 2)
    return all(_size(each) <= most for each in events)


def _size(event: StoredEvent) -> int:
    return len(event.body) + len(event.metadata or "")


class _OddRowError(ValueError):
    """The first row of a batch is not what an event is made of."""


_TYPES: Final[dict[str, Any]] = {
    "event_id": int,
    "type_name": str,
    "body": str,
    "occurred_on": datetime,
    "aggregate_id": str | None,
    "metadata": str | None,
}
_LONGEST_REASON = 200


def _whole(events: Sequence[StoredEvent]) -> int:
    """Return how many events come before the first that is not made of what an event is."""
    for index, (_, type_name, body, occurred_on, aggregate_id, metadata) in enumerate(events):
        if (
            type(body) is not str
            or type(type_name) is not str
            or not isinstance(occurred_on, datetime)
            or (aggregate_id is not None and type(aggregate_id) is not str)
            or (metadata is not None and type(metadata) is not str)
        ):
            return index
    return len(events)


def _may_be_of_a_row(error: Exception) -> bool:
    """Return whether a row may be the cause: no driver says so plainly."""
    if isinstance(error, EventStoreError):
        return type(error) is EventStoreError
    return isinstance(error, (ValueError, TypeError, OverflowError))


def _reason(error: Exception) -> str:
    cause = error.__cause__
    said = cause.orig if isinstance(cause, DBAPIError) and cause.orig is not None else error
    lines = str(said).strip().splitlines() or [type(said).__name__]
    return lines[0].rstrip(".")[:_LONGEST_REASON]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
