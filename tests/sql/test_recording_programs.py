"""Whatever a program does with a session: an event is stored if its transaction is, and only then.

The oracle is the database itself. With every event that is recorded, a row is inserted into a table
of the application, on the session's own connection. After every step both tables, as another
connection sees them, hold the same in the same order.

An event may be refused if the session gives no connection just then, as after an error; but not in
a hook that a savepoint's release calls. So it may while a commit takes a connection, or once one
has failed. Events and commits may be refused once the session's connection has committed by itself,
and commits once a listener has failed as a savepoint began. Any other refusal is a fault.

`TIDINGS_PROGRAMS=10000` runs so many programs instead of the usual few.
"""

from __future__ import annotations

import itertools
import os
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, event, insert
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction
from typing_extensions import override

from tests.sql.witnessed import Database, Order, is_of_sqlalchemy, witness
from tidings.errors import EventStoreError
from tidings.event import NewEvent
from tidings.sql.recording import record

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = int(os.environ.get("TIDINGS_PROGRAMS", "150"))

SESSION_HOOKS = [
    "before_commit",
    "after_commit",
    "before_flush",
    "after_flush",
    "after_flush_postexec",
    "after_begin",
    "after_rollback",
    "after_soft_rollback",
    "after_transaction_create",
    "after_transaction_end",
]
MAPPER_HOOKS = ["before_insert", "after_insert"]
ACTIONS = ["record", "record two", "fail", "record and fail", "released", "undone", "add"]


class OnPurposeError(Exception):
    """What a hook of the application raises."""


class Recording(RuleBasedStateMachine):
    """Runs one program, step by step, and goes on after whatever fails, as applications do."""

    database: Database

    @initialize()
    def begin(self) -> None:
        self.database.empty()
        self.numbers = itertools.count(1)
        self.savepoints: list[SessionTransaction] = []
        self.session = Session(self.database.engine)
        self.connection: Connection | None = None
        self.in_a_hook = ""
        self.commits = False
        """Whether a commit is under way. A listener to tell it would change what ours does."""
        self.failed = False
        """Whether a commit of this transaction has failed."""
        self.astray = False
        """Whether a listener has failed as a savepoint of this transaction began."""
        self.past = False
        """Whether its connection has made a commit of its own, or was refused one."""
        self.needless: list[EventStoreError] = []
        self.due: list[EventStoreError] = []
        event.listen(self.session, "after_transaction_create", self.transaction_begins)

    def transaction_begins(self, _session: Session, begun: SessionTransaction) -> None:
        if begun.parent is None:
            self.failed = self.astray = self.past = False

    @override
    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.in_a_hook = "none"  # no hook does anything any more
            self.session.close()

    @rule(count=st.integers(1, 2))
    def record(self, count: int) -> None:
        self.attempt(lambda: self.record_beside(count))

    @rule(duplicate=st.booleans())
    def add(self, duplicate: bool) -> None:
        self.attempt(lambda: self.session.add(Order(0 if duplicate else next(self.numbers))))

    @rule()
    def flush(self) -> None:
        self.attempt(self.session.flush)

    @rule()
    def begin_nested(self) -> None:
        self.attempt(lambda: self.savepoints.append(self.session.begin_nested()))

    @rule()
    def fail_in_a_savepoint(self) -> None:
        def block() -> None:
            with self.session.begin_nested():
                self.session.add(Order(0))

        self.attempt(block, commits=True)

    @precondition(lambda self: self.savepoints)
    @rule(data=st.data(), how=st.sampled_from(["commit", "commit", "rollback", "close"]))
    def end_a_savepoint(self, data: st.DataObject, how: str) -> None:
        savepoint = data.draw(st.sampled_from(self.savepoints))
        over = not self.is_open(savepoint)
        if over and (how == "close" or self.session.get_transaction() is None):
            return  # SQLAlchemy takes that for its own mistake
        self.attempt(getattr(savepoint, how), commits=how == "commit")

    def is_open(self, savepoint: SessionTransaction) -> bool:
        current = self.session.get_nested_transaction()
        while current is not None and current is not savepoint:
            current = current.parent
        return current is not None

    @rule(how=st.sampled_from(["commit", "commit", "root commit", "rollback", "close"]))
    def end(self, how: str) -> None:
        root = self.session.get_transaction()
        if how != "root commit":
            self.attempt(getattr(self.session, how), commits=how == "commit")
        elif root is not None:
            self.attempt(root.commit, commits=True)

    @precondition(lambda self: self.session.get_transaction() is not None)
    @rule()
    def commit_past_the_session(self) -> None:
        def step() -> None:
            connection = self.own_connection()
            self.past = True
            try:
                connection.commit()
            except EventStoreError as error:
                self.due.append(error)
                raise

        self.attempt(step)

    @rule(
        hook=st.sampled_from(SESSION_HOOKS + MAPPER_HOOKS),
        action=st.sampled_from(ACTIONS),
        passes=st.integers(0, 2),
    )
    def listen(self, hook: str, action: str, passes: int) -> None:
        """Do something once, the first or a later time that the hook is called."""
        todo = [action, *[""] * passes]

        def called(*arguments: Any) -> None:
            # What a hook does calls hooks, which would go on without an end.
            if self.in_a_hook or not todo:
                return
            # Of the transaction around a savepoint that the database does not know of yet. What is
            # recorded belongs into the savepoint, and nothing can be written there.
            if hook == "after_begin" and arguments[1] is not self.innermost():
                return
            if not (what := todo.pop()):
                return
            self.in_a_hook = hook
            self.connection = next((a for a in arguments if isinstance(a, Connection)), None)
            try:
                self.act(what)
            except BaseException:
                self.astray |= hook == "after_transaction_create"
                raise
            finally:
                self.in_a_hook = ""
                self.connection = None

        if hook in SESSION_HOOKS:
            event.listen(self.session, hook, called)
        else:
            self.session.info.setdefault(hook, []).append(called)

    @invariant()
    def what_is_stored_is_what_was_committed(self) -> None:
        if hasattr(self, "session"):
            stored, beside = self.database.both()
            assert stored == beside
            assert self.needless == []

    def act(self, what: str) -> None:
        if what == "fail":
            raise OnPurposeError
        if what == "add":
            self.session.add(Order(next(self.numbers)))
        elif what in {"released", "undone"}:
            savepoint = self.session.begin_nested()
            self.connection = None  # the savepoint's: its own begins it
            self.record_beside(1)
            self.commits |= what == "released"
            savepoint.commit() if what == "released" else savepoint.rollback()
        else:
            self.record_beside(2 if what == "record two" else 1)
            if what == "record and fail":
                raise OnPurposeError

    def record_beside(self, count: int) -> None:
        """Record events; what could be recorded, a row can be inserted beside."""
        names = [next(self.numbers) for _ in range(count)]
        connection = self.connection
        with suppress(SQLAlchemyError):  # also of a hook that is called by it, and fails
            connection = connection or self.own_connection()
        try:
            record(self.session, *(NewEvent("E", name) for name in names))
        except EventStoreError as error:
            if error not in self.due:  # that of a hook which this called
                # Asked only now: it may begin a savepoint.
                due = connection is None or self.may_refuse()
                (self.due if due else self.needless).append(error)
            raise
        try:
            connection = connection or self.own_connection()
            connection.execute(insert(witness), [{"name": name} for name in names])
        except SQLAlchemyError as error:
            if self.past:
                raise
            raise AssertionError("An event was taken where nothing can be written.") from error

    def may_refuse(self) -> bool:
        """Return whether what is recorded just now belongs to no transaction."""
        if self.past:
            return True
        if self.in_a_hook == "after_begin":
            return self.commits or self.failed
        try:
            self.session.connection()
        except SQLAlchemyError:
            return self.in_a_hook != "after_commit"
        return False

    def innermost(self) -> SessionTransaction | None:
        return self.session.get_nested_transaction() or self.session.get_transaction()

    def own_connection(self) -> Connection:
        innermost = self.innermost()
        if innermost is None:
            return self.session.connection()
        if not innermost.is_active and innermost.parent is not None:
            innermost = innermost.parent  # a savepoint that was released takes no more
        return innermost.connection(None)

    def attempt(self, step: Callable[[], object], *, commits: bool = False) -> None:
        self.commits = commits
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # of what hooks should rather not do
            try:
                step()
            except EventStoreError as error:
                if error not in self.due and not (self.commits and (self.astray or self.past)):
                    self.needless.append(error)
            except (SQLAlchemyError, OnPurposeError):
                pass
            except AssertionError as error:
                if not is_of_sqlalchemy(error):
                    raise
            else:
                return
        self.failed |= self.commits


def _call_mapper_hooks(name: str) -> None:
    def called(_mapper: object, connection: Connection, order: Order) -> None:
        session = Session.object_session(order)
        for hook in session.info.get(name, ()) if session else ():
            hook(connection)

    event.listen(Order, name, called)


for _name in MAPPER_HOOKS:
    _call_mapper_hooks(_name)


@pytest.mark.timeout(120 + PROGRAMS)
def test_an_event_is_stored_if_its_transaction_is_and_only_then() -> None:
    Recording.database = Database()
    run_state_machine_as_test(
        Recording,
        settings=settings(
            max_examples=PROGRAMS,
            stateful_step_count=20,
            suppress_health_check=list(HealthCheck),
        ),
    )
    Recording.database.close()
