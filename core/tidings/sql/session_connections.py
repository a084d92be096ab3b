"""The connections that a session works on, and what is done to them past the session.

``session.connection().commit()`` is such a thing, and so is the commit, or the rollback, of a
connection that the session was given. SQLAlchemy tells the session nothing of either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, TwoPhaseTransaction
from sqlalchemy import event as sqlalchemy_event

from tidings.errors import EventStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import RootTransaction


class SessionConnections:
    """Those of one transaction of a session."""

    __slots__ = ("_begun_in", "_heard")

    def __init__(self) -> None:
        """Know none yet."""
        self._begun_in: dict[Connection, RootTransaction | None] = {}
        self._heard: dict[Connection, dict[str, Callable[..., None]]] = {}

    def begin(self, connection: Connection) -> None:
        """Take note of a connection, and of the transaction that the session has joined there."""
        self._begun_in[connection] = self._begun_in.get(connection) or connection.get_transaction()

    def refuse_if_over(self) -> None:
        """Raise if a transaction that the session has joined was ended by somebody else.

        What the session does there goes into another one, which it would not roll back.
        """
        for connection, transaction in self._begun_in.items():
            if transaction is not None and connection.get_transaction() is not transaction:
                raise EventStoreError(
                    "Nothing can be recorded on this session just now: the transaction of its "
                    "connection was ended past it, by commit() or rollback() of the connection. "
                    "What the session had recorded is not stored. Call session.rollback() first."
                )

    def hear(self, refuse: Callable[[Connection], None], given: object) -> None:
        """Let ``refuse`` raise, from now on, if one of them is not to commit.

        Also the connection that the session was ``given``, if it is one. What was written is rolled
        back then. SQLAlchemy itself would leave that to the database, which has not seen the
        commit: the next commit of the connection would keep it all.
        """
        if isinstance(given, Connection):
            self._begun_in.setdefault(given, None)
        for connection in self._begun_in.keys() - self._heard.keys():
            self._heard[connection] = _listeners(connection.get_transaction(), refuse)
            for name, listener in self._heard[connection].items():
                sqlalchemy_event.listen(connection, name, listener)

    def forget(self) -> None:
        """Leave them all alone."""
        for connection, listeners in self._heard.items():
            for name, listener in listeners.items():
                sqlalchemy_event.remove(connection, name, listener)
        self._heard = {}
        self._begun_in = {}


def _listeners(
    transaction: RootTransaction | None, refuse: Callable[[Connection], None]
) -> dict[str, Callable[..., None]]:
    def commits(connection: Connection) -> None:
        try:
            refuse(connection)
        except BaseException:
            connection.dialect.do_rollback(connection.connection)
            raise

    def prepares(connection: Connection, _xid: object) -> None:
        refuse(connection)  # its transaction goes on then, and can be rolled back

    def commits_in_two_phases(connection: Connection, xid: object, prepared: bool) -> None:
        if prepared:
            return
        try:
            refuse(connection)
        except BaseException:
            connection.dialect.do_rollback_twophase(connection, xid, is_prepared=False)
            raise

    listeners: dict[str, Callable[..., None]] = {}
    if not isinstance(transaction, TwoPhaseTransaction):
        listeners["commit"] = commits
    if transaction is None or isinstance(transaction, TwoPhaseTransaction):
        listeners["prepare_twophase"] = prepares
        listeners["commit_twophase"] = commits_in_two_phases
    return listeners
