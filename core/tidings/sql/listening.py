"""Hears of every session's transactions, and finds what is recorded in them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.orm import Session

from tidings.errors import EventStoreError
from tidings.sql.character_sets import note_character_sets
from tidings.sql.pending_events import PendingEvents

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import SessionTransaction

_ATTRIBUTE = "_tidings_pending_events"
"""Of each session. Not in its ``info``: that is the application's, which may empty it."""


def pending_events(session: Session) -> PendingEvents:
    """Return what is recorded in the session's transaction; begins one if there is none.

    Raises :class:`~tidings.errors.EventStoreError` if the application wants to begin each itself.
    """
    if not _listening:
        _listen()
    root = session.get_transaction()
    if root is None:
        if not session.autobegin:
            raise EventStoreError(
                "Nothing can be recorded on this session just now: it is in no transaction, and "
                "autobegin=False lets it begin none by itself. Call session.begin() first."
            )
        root = session.begin()
    pending = _of(session, root)
    if pending is None:
        pending = vars(session)[_ATTRIBUTE] = PendingEvents(session, root, missed=True)
    return pending


def _of(session: Session, root: SessionTransaction | None) -> PendingEvents | None:
    pending: PendingEvents | None = vars(session).get(_ATTRIBUTE)
    return pending if pending is not None and pending.root is root else None


def _after_transaction_create(session: Session, created: SessionTransaction) -> None:
    if created.parent is None:
        vars(session)[_ATTRIBUTE] = PendingEvents(session, created)


def _after_begin(session: Session, _transaction: object, connection: Connection) -> None:
    note_character_sets(connection)
    if pending := _of(session, session.get_transaction()):
        pending.has_begun(connection)


def _before_commit(session: Session) -> None:
    if pending := _of(session, session.get_transaction()):
        pending.before_commit()


def _after_commit(session: Session) -> None:
    if pending := _of(session, session.get_transaction()):
        pending.after_commit()


def _after_rollback(session: Session) -> None:
    if pending := _of(session, session.get_transaction()):
        pending.after_rollback()


def _after_transaction_end(session: Session, ended: SessionTransaction) -> None:
    if ended.parent is None:
        if pending := _of(session, ended):
            del vars(session)[_ATTRIBUTE]
            pending.root_ended()
    elif ended.nested and (pending := _of(session, session.get_transaction())):
        pending.savepoint_ended(ended)


_listening = False


def _listen() -> None:
    """Hear of every session's commits: a listener for each session would cost ten times more.

    Not from inside a listener, as when a hook is the first to import this. That would end the loop
    over the listeners that called it. Until then everything recorded is inserted at once.
    """
    global _listening  # noqa: PLW0603 - of the process, as the listeners are
    if _is_called_by_a_listener():
        return
    _listening = True
    sqlalchemy_event.listen(Session, "after_transaction_create", _after_transaction_create)
    sqlalchemy_event.listen(Session, "after_begin", _after_begin)
    sqlalchemy_event.listen(Session, "before_commit", _before_commit)
    sqlalchemy_event.listen(Session, "after_commit", _after_commit)
    sqlalchemy_event.listen(Session, "after_rollback", _after_rollback)
    sqlalchemy_event.listen(Session, "after_transaction_end", _after_transaction_end)


def _is_called_by_a_listener() -> bool:
    frame = sys._getframe()  # noqa: SLF001 - CPython's, and PyPy's
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == "sqlalchemy.event.attr":
            return True
    return False


_listen()
