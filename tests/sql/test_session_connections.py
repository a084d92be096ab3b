"""What is done to a session's connection, and not by the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, select
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, registry

from tidings.errors import EventStoreError
from tidings.event import NewEvent
from tidings.sql.recording import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from tidings.sql.event_store import SqlAlchemyEventStore


class Order:
    """The application's aggregate."""

    def __init__(self, number: int) -> None:
        self.id = number


orders = Table("orders", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False))
registry().map_imperatively(Order, orders)

REFUSED = r"This connection cannot commit: 1 event\(s\) wait"


@pytest.fixture(autouse=True)
def tables(request: pytest.FixtureRequest) -> None:
    name = "server_engine" if "server_engine" in request.fixturenames else "engine"
    engine: Engine = request.getfixturevalue(name)
    orders.create(engine)


def place(session: Session, number: int) -> None:
    session.add(Order(number))
    record(session, NewEvent(str(number), {}))


def both(engine: Engine, store: SqlAlchemyEventStore) -> tuple[list[int], list[int]]:
    """Return which orders are stored, and which events."""
    with engine.connect() as connection:
        placed = list(connection.execute(select(orders.c.id).order_by(orders.c.id)).scalars())
    return placed, [int(each.type_name) for each in store.all_stored_events_since(0, 100)]


def _recorded_first(session: Session) -> None:
    record(session, NewEvent("1", {}))
    session.add(Order(1))
    session.flush()


def _flushed_first(session: Session) -> None:
    session.add(Order(1))
    session.flush()
    record(session, NewEvent("1", {}))


def _in_a_savepoint(session: Session) -> None:
    session.begin_nested()
    _flushed_first(session)


@pytest.mark.parametrize("work", [_recorded_first, _flushed_first, _in_a_savepoint])
def test_a_sessions_own_connection_does_not_commit_without_its_events(
    engine: Engine, store: SqlAlchemyEventStore, work: Callable[[Session], None]
) -> None:
    with Session(engine) as session:
        work(session)
        with pytest.raises(EventStoreError, match=REFUSED):
            session.connection().commit()
        session.close()
        place(session, 2)
        session.commit()
        place(session, 3)
    assert both(engine, store) == ([2], [2])


def test_a_connection_does_not_commit_past_events_that_could_not_be_written(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            raise RuntimeError("the application's own")

    with Session(engine) as session:
        record(session, NewEvent("1", {}))
        sqlalchemy_event.listen(engine, "before_cursor_execute", fail)
        with pytest.raises(RuntimeError, match="the application's own"):
            session.commit()  # takes a connection for the event alone
        sqlalchemy_event.remove(engine, "before_cursor_execute", fail)
        session.connection().execute(orders.insert().values(id=1))
        with pytest.raises(EventStoreError, match=REFUSED):
            session.connection().commit()
    assert both(engine, store) == ([], [])


def test_what_went_with_a_savepoint_that_is_not_over_is_missed_there(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as other:
        other.execute(orders.insert().values(id=1))
    with Session(engine) as session:
        record(session, NewEvent("2", {}))
        connection = session.connection()
        connection.execute(orders.insert().values(id=2))
        root = session.get_transaction()
        assert root is not None
        session.begin_nested()
        session.add(Order(1))
        with pytest.raises(IntegrityError):
            root.commit()  # inserts the event in the savepoint, which the flush then takes back
        with pytest.raises(EventStoreError, match=REFUSED):
            connection.commit()
    assert both(engine, store) == ([1], [])


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


def test_what_a_refused_commit_had_written_is_in_no_later_commit(
    engine: Engine, store: SqlAlchemyEventStore, connection: Connection
) -> None:
    with Session(connection) as session:
        place(session, 1)
        session.flush()
        with pytest.raises(EventStoreError, match=REFUSED):
            connection.commit()
        connection.rollback()
    connection.execute(orders.insert().values(id=2))
    connection.commit()
    assert both(engine, store) == ([2], [])


def test_a_session_stores_no_event_after_its_connection_was_rolled_back_past_it(
    engine: Engine, store: SqlAlchemyEventStore, connection: Connection
) -> None:
    with Session(connection) as session:
        place(session, 1)
        session.flush()
        connection.rollback()
        with pytest.raises(EventStoreError, match="was ended past it"):
            session.commit()
    connection.commit()
    assert both(engine, store) == ([], [])


@pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_session_that_could_not_roll_a_change_back_takes_no_event_of_it(
    engine: Engine, store: SqlAlchemyEventStore, connection: Connection, mode: Any, end: str
) -> None:
    connection.execute(select(1))
    with Session(connection, join_transaction_mode=mode) as session:
        session.execute(select(1))
        getattr(connection, end)()
        with pytest.raises(EventStoreError, match=r"Call session.rollback\(\) first"):
            place(session, 1)
    with Session(connection) as session:
        place(session, 2)
        session.commit()
    connection.commit()
    assert both(engine, store) == ([2], [2])


@pytest.mark.parametrize("how", ["prepare", "commit"])
def test_a_two_phase_transaction_does_not_end_without_the_events_of_a_session(
    server_engine: Engine, server_store: SqlAlchemyEventStore, how: str
) -> None:
    with server_engine.connect() as connection:
        transaction = connection.begin_twophase()
        with Session(connection) as session:
            place(session, 1)
            session.flush()
            with pytest.raises(EventStoreError, match=REFUSED):
                getattr(transaction, how)()
        transaction.rollback()
        with connection.begin():
            connection.execute(orders.insert().values(id=2))
    assert both(server_engine, server_store) == ([2], [])


def test_a_session_that_wrote_nothing_leaves_no_event_behind_without_a_word(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute(orders.insert().values(id=1))
    with Session(connection) as session:
        record(session, NewEvent("1", {}))
    assert "1 event(s) that were recorded in it are not stored" in caplog.text
    connection.commit()


def test_a_session_that_was_rolled_back_keeps_no_connection_from_its_commit(
    engine: Engine,
    store: SqlAlchemyEventStore,
    connection: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection.execute(orders.insert().values(id=1))
    session = Session(connection)
    record(session, NewEvent("1", {}))
    session.rollback()
    connection.commit()
    session.close()
    assert caplog.text == ""
    assert both(engine, store) == ([1], [])


def test_a_session_that_begins_nothing_by_itself_begins_nothing_for_an_event(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine, autobegin=False) as session:
        with session.begin():
            place(session, 1)
        with pytest.raises(EventStoreError, match=r"Call session.begin\(\) first"):
            record(session, NewEvent("2", {}))
        with session.begin():
            place(session, 3)
    assert both(engine, store) == ([1, 3], [1, 3])
