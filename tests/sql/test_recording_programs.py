"""Whatever a program does with a session: an event is stored if its transaction is, and only then.

The oracle is the database itself. With every event that is recorded, a row is inserted into a table
of the application, on the session's own connection. After every step both tables, as another
connection sees them, hold the same in the same order.

`TIDINGS_PROGRAMS=10000` runs so many programs instead of the usual few.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
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
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction, registry
from typing_extensions import override

from tests.sql.databases import application_engine, event_store
from tidings.errors import EventStoreError
from tidings.event import NewEvent
from tidings.sql.recording import record
from tidings.sql.tables import event as events_table

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = int(os.environ.get("TIDINGS_PROGRAMS", "150"))

metadata = MetaData()
witness = Table(
    "witness", metadata, Column("n", Integer, primary_key=True), Column("name", Integer)
)
orders = Table("orders", metadata, Column("id", Integer, primary_key=True))


class Order:
    """The application's aggregate."""

    def __init__(self, order_id: int) -> None:
        self.id = order_id


mapper = registry()
mapper.map_imperatively(Order, orders)

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


class Database:
    """One database for all programs: making one for each would take most of the time."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'events.db'}"
        store = event_store(url)
        store.create()
        store.close()
        self.engine: Engine = application_engine(url)
        self.opened: list[Any] = []
        event.listen(self.engine, "connect", lambda opened, _: self.opened.append(opened))
        metadata.create_all(self.engine)
        self.reader: Connection = create_engine(url, isolation_level="AUTOCOMMIT").connect()

    def empty(self) -> None:
        # A hook that raises in the middle of a close leaves its connection open.
        for connection in self.opened:
            connection.close()
        self.opened.clear()
        with self.engine.begin() as connection:
            for table in (events_table, witness, orders):
                connection.execute(table.delete())
            connection.execute(insert(orders).values(id=0))

    def close(self) -> None:
        self.reader.close()
        self.reader.engine.dispose()
        self.engine.dispose()
        self.folder.cleanup()

    def both(self) -> tuple[list[int], list[int]]:
        stored = self.reader.scalars(select(events_table.c.body).order_by(events_table.c.event_id))
        beside = self.reader.scalars(select(witness.c.name).order_by(witness.c.n))
        return [int(body) for body in stored], list(beside)


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

        self.attempt(block)

    @precondition(lambda self: self.savepoints)
    @rule(data=st.data(), how=st.sampled_from(["commit", "commit", "rollback", "close"]))
    def end_a_savepoint(self, data: st.DataObject, how: str) -> None:
        savepoint = data.draw(st.sampled_from(self.savepoints))
        over = not self.is_open(savepoint)
        if over and (how == "close" or self.session.get_transaction() is None):
            return  # SQLAlchemy takes that for its own mistake
        self.attempt(getattr(savepoint, how))

    def is_open(self, savepoint: SessionTransaction) -> bool:
        current = self.session.get_nested_transaction()
        while current is not None and current is not savepoint:
            current = current.parent
        return current is not None

    @rule(how=st.sampled_from(["commit", "commit", "root commit", "rollback", "close"]))
    def end(self, how: str) -> None:
        root = self.session.get_transaction()
        if how != "root commit":
            self.attempt(getattr(self.session, how))
        elif root is not None:
            self.attempt(root.commit)

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

    def act(self, what: str) -> None:
        if what == "fail":
            raise OnPurposeError
        if what == "add":
            self.session.add(Order(next(self.numbers)))
        elif what in {"released", "undone"}:
            savepoint = self.session.begin_nested()
            self.connection = None  # the savepoint's: its own begins it
            self.record_beside(1)
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
        record(self.session, *(NewEvent("E", name) for name in names))
        try:
            connection = connection or self.own_connection()
            connection.execute(insert(witness), [{"name": name} for name in names])
        except SQLAlchemyError as error:
            raise AssertionError("An event was taken where nothing can be written.") from error

    def innermost(self) -> SessionTransaction | None:
        return self.session.get_nested_transaction() or self.session.get_transaction()

    def own_connection(self) -> Connection:
        innermost = self.innermost()
        if innermost is None:
            return self.session.connection()
        if not innermost.is_active and innermost.parent is not None:
            innermost = innermost.parent  # a savepoint that was released takes no more
        return innermost.connection(None)

    def attempt(self, step: Callable[[], object]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # of what hooks should rather not do
            try:
                step()
            except (SQLAlchemyError, OnPurposeError, EventStoreError):
                pass
            except AssertionError as error:
                if not _is_of_sqlalchemy(error):
                    raise


def _is_of_sqlalchemy(error: AssertionError) -> bool:
    """Return whether SQLAlchemy itself gives up: its savepoints are astray after a hook failed."""
    *_, last = traceback.walk_tb(error.__traceback__)
    return str(last[0].f_globals["__name__"]).startswith("sqlalchemy.")


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
