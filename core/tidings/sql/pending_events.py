"""What is recorded on a session, until its transaction commits.

Events are inserted as late as can be: when the outermost transaction is about to commit.
SQLAlchemy dispatches ``before_commit`` for it first. Only then the application's own listeners of
``before_commit`` run, savepoints that are still open are released, and the session is flushed. All
of these may record. So from ``before_commit`` on the transaction is *late*: whatever is recorded
is inserted at once.

Which transaction a ``before_commit`` is for is not said. While a savepoint is open it may be the
savepoint's, or that of a transaction around it, for which the savepoint's follows. So the second
one with the same savepoint tells. If a transaction is taken for late that is not, events are only
inserted early. What was recorded outside a savepoint may be inserted inside it. That is remembered:
if the savepoint is rolled back, it waits again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import InvalidRequestError

from tidings.errors import EventStoreError
from tidings.shown import escaping_logger
from tidings.sql.append import insert_rows
from tidings.sql.callers_transaction import (
    may_connect,
    refuse_unsafe,
    session_bind,
    transaction_connection,
)
from tidings.sql.character_sets import refuse_unfit_early
from tidings.sql.event_log import EVENTS, EventLog
from tidings.sql.savepoints import is_in, transaction_around
from tidings.sql.session_connections import SessionConnections

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session, SessionTransaction

log = escaping_logger(__name__)

_PROVISIONING = "isce"
"""SQLAlchemy's code for "this session is provisioning a new connection"."""


@dataclass(slots=True, eq=False)
class _Recorded:
    """The rows of one call."""

    rows: list[dict[str, Any]]
    owner: SessionTransaction
    """The transaction or savepoint that they live and die with."""
    written_in: SessionTransaction | None = None
    """The savepoint inside ``owner`` that they were inserted in; ``None`` while they wait."""


@dataclass(slots=True, eq=False)
class PendingEvents:
    """The events of one outermost transaction."""

    session: Session
    root: SessionTransaction
    missed: bool = False
    """Whether its ``before_commit`` may have been dispatched before we listened."""
    event_log: EventLog = EVENTS
    recorded: list[_Recorded] = field(default_factory=list)
    commits: list[SessionTransaction] = field(default_factory=list)
    """For each commit that has begun, and isn't over, the innermost transaction at that time."""
    released: SessionTransaction | None = None
    """The savepoint that has been released, and isn't closed yet."""
    committed: bool = False
    writing: bool = False
    connections: SessionConnections = field(default_factory=SessionConnections)
    astray: bool = False
    """Whether one was released that SQLAlchemy did not take for the innermost, with our events."""

    def has_begun(self, connection: Connection) -> None:
        """Take note of a connection that the session works on."""
        self.connections.begin(connection)
        if self.recorded and not self.writing:
            self._hear_commits()

    def record(self, rows: list[dict[str, Any]]) -> None:
        """Take the rows of one call; raises, and takes none, if they cannot be stored."""
        one = _Recorded(rows, self._innermost())
        if self.writing:
            self.recorded.append(one)  # by a hook of our own statements: written with them
            return
        if not one.owner.is_active:
            self._refuse_unless_beginning()
        else:
            self.connections.refuse_if_over()
            refuse_unfit_early(rows, self._bind, self._connection)
        self.recorded.append(one)
        if not self._is_late():
            self._hear_commits()
            return
        try:
            self._write()
        except BaseException:
            self.recorded.remove(one)
            raise

    def before_commit(self) -> None:
        """Write what waits if this is, for certain, not only the commit of a savepoint.

        Raises if it is not known any more which events are the transaction's.
        """
        if self.astray:
            raise EventStoreError(
                "The session's transaction cannot commit: it has lost count of its savepoints, and "
                "so of the events recorded in them, since a listener of after_transaction_create "
                "failed. Roll back, and mend that listener."
            )
        innermost = self._innermost()
        if innermost is self.root:
            if len(self.session.dispatch.before_commit) == 1:
                # The commit would flush next. Nobody else hears of it in between. So what the
                # flush's hooks record goes in with the rest, after all other work.
                self.session.flush()
            self.commits.append(innermost)
            self._write()
        elif innermost in self.commits:
            self.commits.append(innermost)
            self._write()
        else:
            self.commits.append(innermost)
            self._refuse_unsafe_release()

    def after_commit(self) -> None:
        """Hand what a released savepoint held to what is around it."""
        released = self.session.get_nested_transaction()
        if released is None:
            self.committed = True
            return
        if released.is_active:
            # A hook failed while another savepoint began in this one: it is that one.
            self.astray |= any(_lies_in(one, released) for one in self.recorded)
            return
        self.released = released
        around = transaction_around(released)
        if released in self.commits:
            self.commits.remove(released)
        self.commits = [around if each is released else each for each in self.commits]
        for one in self.recorded:
            if one.owner is released:
                one.owner = around
            if one.written_in is released:
                one.written_in = around
        self._forget_written()

    def savepoint_ended(self, ended: SessionTransaction) -> None:
        """Forget what it took along; what was only written in it waits again.

        Savepoints that are still open in it are gone with it.
        """
        self.recorded = [one for one in self.recorded if not is_in(one.owner, ended)]
        for one in self.recorded:
            if one.written_in is not None and is_in(one.written_in, ended):
                one.written_in = None
        self.commits = [each for each in self.commits if not is_in(each, ended)]
        if self.released is not None and is_in(self.released, ended):
            self.released = None

    def root_ended(self) -> None:
        """Raise if it has committed, and something recorded was not stored; else tell of it.

        A session that was only closed takes nothing back of what was written in the transaction of
        somebody else's connection.
        """
        self.connections.forget()
        lost = self._count_waiting()
        if self.committed and lost:
            raise EventStoreError(
                f"The session's transaction has committed without {lost} event(s) that were "
                "recorded in it: tidings did not hear of the commit before it was made. Are "
                "listeners of SQLAlchemy's Session taken away somewhere? Record these again."
            )
        if lost and self._goes_on_without_us():
            log.warning(
                "A session was closed without a commit, and the transaction of the connection that "
                "it was given goes on: %d event(s) that were recorded in it are not stored, though "
                "what was written there may be. Call session.commit() first: it commits no more "
                "than the session's part.",
                lost,
            )

    def after_rollback(self) -> None:
        """Forget what was rolled back: the transaction itself, or a savepoint, that is not over."""
        savepoint = self.session.get_nested_transaction()
        if savepoint is None and not self.root.is_active:
            self.recorded.clear()
        elif savepoint is not None and not savepoint.is_active:
            self.savepoint_ended(savepoint)

    def _hear_commits(self) -> None:
        self.connections.hear(self._refuse_commit_past, self.session.bind)

    def _refuse_commit_past(self, connection: Connection) -> None:
        """Raise if events wait to be written on that connection, which is about to commit."""
        lost = self._count_waiting()
        if not lost or self._bind() not in {connection, connection.engine}:
            return
        if self.root.is_active:
            raise EventStoreError(
                f"This connection cannot commit: {lost} event(s) wait in a session that works on "
                "it, and would not be stored. What it has written is rolled back. Call "
                "session.commit() first, or close the session. In a transaction that you have "
                "begun on a connection of your own, it commits no more than the session's part."
            )
        raise EventStoreError(
            f"The session's transaction cannot commit: {lost} event(s) that were recorded in it "
            "are not written, because tidings did not hear of the commit in time. Are listeners "
            "of SQLAlchemy's Session taken away somewhere? Roll back, and do it again."
        )

    def _goes_on_without_us(self) -> bool:
        """Return whether it was part of a connection's transaction, and that is still open."""
        given, mode = self.session.bind, self.session.join_transaction_mode
        if not isinstance(given, Connection) or not given.in_transaction():
            return False
        return mode == "rollback_only" or (
            mode == "conditional_savepoint" and not given.in_nested_transaction()
        )

    def _innermost(self) -> SessionTransaction:
        innermost = self.session.get_nested_transaction()
        if innermost is None:
            return self.root
        return transaction_around(innermost) if innermost is self.released else innermost

    def _is_late(self) -> bool:
        late = self.missed or self.root in self.commits
        if not late and len(self.commits) == len(set(self.commits)):
            return False
        # With asyncio a commit runs in a greenlet. Outside of one, no commit is under way, and what
        # is noted here is of one that has failed.
        return may_connect(self._bind().dialect)

    def _bind(self) -> Engine | Connection:
        return session_bind(self.session, self.event_log.table)

    def _connection(self) -> Connection:
        return transaction_connection(self._innermost(), self.event_log.table)

    def _waiting(self) -> list[_Recorded]:
        return [one for one in self.recorded if one.written_in is None]

    def _count_waiting(self) -> int:
        return sum(len(one.rows) for one in self._waiting())

    def _write(self) -> None:
        if not self.recorded:
            return
        self.writing = True
        try:
            while waiting := self._waiting():
                # Hooks of these may record more.
                self.connections.refuse_if_over()
                refuse_unsafe(connection := self._connection())
                waiting = self._waiting()
                insert_rows(connection, [row for one in waiting for row in one.rows])
                for one in waiting:
                    one.written_in = self._innermost()
        finally:
            self.writing = False
            self._forget_written()
            if self.recorded:  # it could not be written, or a savepoint may take it back
                self._hear_commits()

    def _forget_written(self) -> None:
        """Forget what the database keeps and drops as the application wants it to by itself."""
        self.recorded = [one for one in self.recorded if one.written_in is not one.owner]

    def _refuse_unsafe_release(self) -> None:
        if self.recorded and self._bind().dialect.name == "sqlite":
            refuse_unsafe(self._connection())

    def _refuse_unless_beginning(self) -> None:
        try:
            self._connection()
        except InvalidRequestError as error:
            if error.code == _PROVISIONING and not self._is_late():
                return
            raise EventStoreError(
                "Nothing can be recorded on this session just now: its transaction was prepared, "
                "committed or rolled back, or its commit is taking a connection. In a hook, "
                "record before the commit (before_commit, before_flush, after_flush); after an "
                "error, roll back first."
            ) from error


def _lies_in(one: _Recorded, savepoint: SessionTransaction) -> bool:
    return is_in(one.owner, savepoint) or (
        one.written_in is not None and is_in(one.written_in, savepoint)
    )
