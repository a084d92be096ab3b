"""Recording events from the application, in its own transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.orm import Session, scoped_session

from tidings.sql.append import ASYNC, core_connection, event_row, insert_rows
from tidings.sql.recorded_event import as_new_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import SessionTransaction

_INFO_KEY = "tidings.recorded"


def record(
    session: Any,
    *events: object,
    type_name: str | None = None,
    aggregate_id: object = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Record ``events``: they are stored if, and only if, the transaction of ``session`` commits.

    ``session`` is a SQLAlchemy ``Session``, ``AsyncSession`` or ``scoped_session``: the events are
    inserted, in the order of the calls, in one step just before its transaction commits; they
    vanish with a rollback, also with that of the savepoint they were recorded in. A Core
    ``Connection`` has no such moment: there they are inserted at once, so record last.

    Each event is a :class:`~tidings.event.NewEvent`, a dataclass, a pydantic model or, with a
    ``type_name``, a mapping; :func:`~tidings.sql.recorded_event.as_new_event` says what becomes of
    it. ``aggregate_id`` and ``metadata`` are given to all events of the call. Raises
    :class:`~tidings.errors.InvalidEventError`, and records none of them, where one cannot be
    stored.
    """
    rows = [event_row(as_new_event(e, type_name, aggregate_id, metadata)) for e in events]
    _record_rows(session, rows)


def _record_rows(session: Any, rows: list[dict[str, Any]]) -> None:
    target = _target(session)
    if isinstance(target, Connection):
        insert_rows(target, rows)
    else:
        _recorder(target).record(rows)


def record_from(session: Any, *aggregates: object) -> None:
    """Record the pending events of ``aggregates``, and take them off their hands.

    An aggregate has a method ``pull_events()`` that returns its pending events and forgets them,
    or a list ``events``, which is emptied. So a domain model needs nothing of tidings. An event
    without an ``aggregate_id`` of its own gets the aggregate's ``aggregate_id`` or ``id``.
    """
    for aggregate in aggregates:
        aggregate_id = getattr(aggregate, "aggregate_id", getattr(aggregate, "id", None))
        rows = []
        for event in _pending(aggregate):
            own_id = getattr(event, "aggregate_id", None)
            given = aggregate_id if own_id is None else own_id
            rows.append(event_row(as_new_event(event, aggregate_id=given)))
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
    if isinstance(given, Session | Connection):
        return given
    if isinstance(given, scoped_session):
        session: Session = given()
        return session
    if any(base.__module__.startswith(ASYNC) for base in type(given).__mro__):
        # Recording touches no database, so it needs no await: the insert comes with the commit.
        inner = getattr(given, "sync_session", None)
        if isinstance(inner, Session):
            return inner
        raise TypeError(
            f"record writes to a connection at once, which cannot be done on an "
            f"{type(given).__name__} without await: `await connection.run_sync(record, event)`."
        )
    raise TypeError(
        f"record takes a SQLAlchemy Session, AsyncSession or Connection, not "
        f"{type(given).__name__}."
    )


@dataclass(slots=True)
class _Recorder:
    """The events of one session that wait for its commit."""

    session: Session
    pending: list[tuple[SessionTransaction, list[dict[str, Any]]]] = field(default_factory=list)
    """Each with the transaction, or savepoint, that it lives and dies with."""
    written: bool = False
    """Whether the commit that is under way has inserted what was pending."""
    releasing: int = 0
    """How many commits are under way while a savepoint is open."""

    def record(self, rows: list[dict[str, Any]]) -> None:
        session = self.session
        if self.written:
            # A hook of the application's records while its commit is under way.
            insert_rows(core_connection(session), rows)
            return
        transaction = session.get_nested_transaction() or session.get_transaction()
        self.pending.append((transaction or session.begin(), rows))

    def before_commit(self) -> None:
        session = self.session
        if self.written:
            return
        if session.in_nested_transaction():
            self.releasing += 1
            if self.releasing == 1:
                return
            # Not only the savepoint is released: what is around it commits as well, and has had
            # its one call already.
            self._insert()
            return
        session.flush()  # its hooks may record more
        self._insert()
        self.written = True

    def after_commit(self) -> None:
        released = self.session.get_nested_transaction()
        if released is None or released.parent is None:
            return
        self.releasing = max(self.releasing - 1, 0)  # we may have joined in the middle
        self.pending = [
            (released.parent if transaction is released else transaction, rows)
            for transaction, rows in self.pending
        ]

    def _insert(self) -> None:
        rows = [row for _transaction, rows in self.pending for row in rows]
        if rows:
            insert_rows(core_connection(self.session), rows)
        self.pending.clear()

    def after_transaction_end(self, ended: SessionTransaction) -> None:
        if ended.parent is None:
            self.pending.clear()
            self.written = False
            self.releasing = 0
        else:
            # A savepoint that was released has handed its events on.
            self.pending = [entry for entry in self.pending if entry[0] is not ended]


def _recorder(session: Session) -> _Recorder:
    recorder: _Recorder | None = session.info.get(_INFO_KEY)
    if recorder is None:
        _listen()
        recorder = _Recorder(session)
        session.info[_INFO_KEY] = recorder
    return recorder


@cache
def _listen() -> None:
    """Hear of every session's commits: a listener for each session would cost ten times more.

    SQLAlchemy takes the same function once, also where two threads come here at once.
    """
    sqlalchemy_event.listen(Session, "before_commit", _before_commit)
    sqlalchemy_event.listen(Session, "after_commit", _after_commit)
    sqlalchemy_event.listen(Session, "after_transaction_end", _after_transaction_end)


def _before_commit(session: Session) -> None:
    if recorder := session.info.get(_INFO_KEY):
        recorder.before_commit()


def _after_commit(session: Session) -> None:
    if recorder := session.info.get(_INFO_KEY):
        recorder.after_commit()


def _after_transaction_end(session: Session, ended: SessionTransaction) -> None:
    if recorder := session.info.get(_INFO_KEY):
        recorder.after_transaction_end(ended)
