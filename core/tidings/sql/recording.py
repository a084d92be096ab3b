"""Recording events from the application, in its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

from tidings.routing.trace_context import current
from tidings.sql.append import event_row, insert_rows
from tidings.sql.callers_transaction import async_sessions, is_async, refuse_unsafe
from tidings.sql.listening import pending_events
from tidings.sql.recorded_event import as_new_event, in_trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def record(
    session: Any,
    *events: object,
    type_name: str | None = None,
    aggregate_id: object = None,
    metadata: Mapping[str, Any] | None = None,
    trace_context: bool = True,
) -> None:
    """Record ``events``: they are stored if, and only if, the transaction of ``session`` commits.

    ``session`` is a SQLAlchemy ``Session``, ``AsyncSession`` or ``scoped_session``. The events are
    inserted, in the order of the calls, in one step just before its transaction commits. They
    vanish with a rollback, also with that of the savepoint they were recorded in. A Core
    ``Connection`` has no such moment: there they are inserted at once, so record last.

    Each event is a :class:`~tidings.event.NewEvent`, a dataclass, a pydantic model or, with a
    ``type_name``, a mapping; :func:`~tidings.sql.recorded_event.as_new_event` says what becomes of
    it. ``aggregate_id`` and ``metadata`` are given to all events of the call. Raises
    :class:`~tidings.errors.InvalidEventError`, and records none of them, if one cannot be stored.

    In an application that uses OpenTelemetry, the metadata keep the current trace and baggage
    (``traceparent``, ``tracestate``, ``baggage``), unless they have them already. With
    ``trace_context=False`` they don't.
    """
    trace = current() if trace_context else {}
    rows = [
        event_row(in_trace(as_new_event(event, type_name, aggregate_id, metadata), trace))
        for event in events
    ]
    _record_rows(session, rows)


def _record_rows(session: Any, rows: list[dict[str, Any]]) -> None:
    target = _target(session)
    if not rows:
        return
    if isinstance(target, Connection):
        refuse_unsafe(target)
        insert_rows(target, rows)
    else:
        pending_events(target).record(rows)


def record_from(
    session: Any,
    *aggregates: object,
    metadata: Mapping[str, Any] | None = None,
    trace_context: bool = True,
) -> None:
    """Record the pending events of ``aggregates``, and take them off their hands.

    An aggregate has a method ``pull_events()`` that returns its pending events and forgets them,
    or a list ``events``, which is emptied. So a domain model needs nothing of tidings. An event
    without an ``aggregate_id`` of its own gets the aggregate's ``aggregate_id`` or ``id``.
    ``metadata`` is given to all events of the call; ``trace_context`` as in :func:`record`.
    """
    trace = current() if trace_context else {}
    for aggregate in aggregates:
        aggregate_id = getattr(aggregate, "aggregate_id", getattr(aggregate, "id", None))
        rows = []
        for event in _pending(aggregate):
            own_id = getattr(event, "aggregate_id", None)
            given = aggregate_id if own_id is None else own_id
            new = as_new_event(event, aggregate_id=given, metadata=metadata)
            rows.append(event_row(in_trace(new, trace)))
        _record_rows(session, rows)
        if not callable(getattr(aggregate, "pull_events", None)):
            del aggregate.events[:]  # type: ignore[attr-defined]  # _pending has found it


def _pending(aggregate: object) -> Sequence[object]:
    pull = getattr(aggregate, "pull_events", None)
    if callable(pull):
        return list(pull())
    events = getattr(aggregate, "events", None)
    if not isinstance(events, list):
        raise TypeError(
            f"{type(aggregate).__name__} has neither a method pull_events() nor a list `events`."
        )
    return list(events)


def _target(given: Any) -> Session | Connection:
    if isinstance(given, scoped_session):
        given = given()
    if isinstance(given, Session | Connection):
        return given
    if (in_use := async_sessions()) is not None:
        session, scoped = in_use
        if isinstance(given, scoped):
            given = given()
        if isinstance(given, session):
            # Recording touches no database, so it needs no await: the insert comes with the commit.
            return given.sync_session
    if is_async(given):
        raise TypeError(
            f"record writes to a connection at once, which cannot be done on an "
            f"{type(given).__name__} without await: `await connection.run_sync(record, event)`."
        )
    raise TypeError(
        f"record takes a SQLAlchemy Session, AsyncSession or Connection, not "
        f"{type(given).__name__}. An event store that is not SQL, `store = "
        "Tidings.from_file().event_store()`, appends in its own transaction: `with "
        "store.transaction() as transaction: store.append(transaction, event)`."
    )
