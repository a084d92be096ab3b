"""Recording events in the application's own transactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, String, event, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    scoped_session,
    sessionmaker,
)

from tidings.errors import EventStoreError, InvalidEventError
from tidings.event import NewEvent
from tidings.sql.recording import record, record_from

if TYPE_CHECKING:
    from tidings.sql.event_store import SqlAlchemyEventStore


class Base(DeclarativeBase):
    """The application's tables."""


class Order(Base):
    """The application's aggregate, as a row."""

    __tablename__ = "orders"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)


@dataclass(frozen=True)
class OrderPlaced:
    aggregate_id: str
    total: int = 0


def recorded(store: SqlAlchemyEventStore) -> list[str | None]:
    return [event.aggregate_id for event in store.all_stored_events_since(0, 1000)]


def test_events_are_stored_with_the_commit_in_the_order_recorded(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        record(session, OrderPlaced("1"), OrderPlaced("2"))
        record(session, OrderPlaced("3"))
        session.commit()
    assert recorded(store) == ["1", "2", "3"]


def test_nothing_is_written_before_the_commit(engine: Engine, store: SqlAlchemyEventStore) -> None:
    with Session(engine) as session:
        record(session, OrderPlaced("1"))
        session.flush()
        assert session.execute(text("SELECT count(*) FROM event")).scalar_one() == 0
        session.commit()
    assert recorded(store) == ["1"]


def test_a_rollback_takes_the_events_with_it(engine: Engine, store: SqlAlchemyEventStore) -> None:
    with Session(engine) as session:
        record(session, OrderPlaced("rolled back"))
        session.rollback()
        record(session, OrderPlaced("kept"))
        session.commit()
    assert recorded(store) == ["kept"]


def test_an_application_that_empties_the_sessions_info_loses_no_event(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        record(session, OrderPlaced("before"))
        session.info.clear()
        record(session, OrderPlaced("after"))
        session.commit()
    assert recorded(store) == ["before", "after"]


def test_closing_a_session_without_a_commit_takes_the_events_with_it(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    session = Session(engine)
    record(session, OrderPlaced("abandoned"))
    session.close()
    record(session, OrderPlaced("kept"))
    session.commit()
    session.close()
    assert recorded(store) == ["kept"]


def test_a_commit_that_fails_stores_nothing_and_the_next_one_only_its_own(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Order(id="a"))
        session.commit()
    with Session(engine) as session:
        session.add(Order(id="a"))
        record(session, OrderPlaced("failed"))
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            session.commit()
        session.rollback()
        record(session, OrderPlaced("kept"))
        session.commit()
    assert recorded(store) == ["kept"]


def test_events_of_a_second_transaction_of_one_session_are_stored_once(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        for number in range(3):
            record(session, OrderPlaced(str(number)))
            assert session.execute(text("SELECT count(*) FROM event")).scalar_one() == number
            session.commit()
    assert recorded(store) == ["0", "1", "2"]


def test_a_rolled_back_savepoint_takes_its_events_and_no_others(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        record(session, OrderPlaced("before"))
        with session.begin_nested():
            record(session, OrderPlaced("released"))
        savepoint = session.begin_nested()
        record(session, OrderPlaced("rolled back"))
        with session.begin_nested():
            record(session, OrderPlaced("released into what is rolled back"))
        savepoint.rollback()
        record(session, OrderPlaced("after"))
        session.commit()
    assert recorded(store) == ["before", "released", "after"]


def test_a_savepoint_that_is_closed_without_release_takes_its_events(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        savepoint = session.begin_nested()
        record(session, OrderPlaced("abandoned"))
        session.begin_nested()
        record(session, OrderPlaced("in what is still open"))
        savepoint.close()
        record(session, OrderPlaced("kept"))
        session.commit()
    assert recorded(store) == ["kept"]


def test_savepoints_left_open_are_released_by_the_commit_with_their_events(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        session.begin_nested()
        record(session, OrderPlaced("in one"))
        session.begin_nested()
        record(session, OrderPlaced("in two"))
        session.commit()
    assert recorded(store) == ["in one", "in two"]


def test_the_root_transaction_committed_by_itself_keeps_the_events_of_open_savepoints(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session, session.begin():
        record(session, OrderPlaced("outside"))
        session.begin_nested()
        record(session, OrderPlaced("in a savepoint left open"))
    assert recorded(store) == ["outside", "in a savepoint left open"]


def test_events_recorded_while_the_commit_flushes_are_stored_too(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:

        def on_flush(session: Session, _context: object) -> None:
            for order in session.new:
                record(session, OrderPlaced(order.id))

        event.listen(session, "after_flush", on_flush)
        record(session, OrderPlaced("first"))
        session.add(Order(id="flushed"))
        session.commit()
    assert recorded(store) == ["first", "flushed"]


def test_events_recorded_by_a_later_hook_of_the_commit_are_stored_too(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        record(session, OrderPlaced("first"))
        event.listen(session, "before_commit", lambda s: record(s, OrderPlaced("from a hook")))
        session.commit()
    assert recorded(store) == ["first", "from a hook"]


def test_a_scoped_session_records(engine: Engine, store: SqlAlchemyEventStore) -> None:
    session = scoped_session(sessionmaker(engine))
    record(session, OrderPlaced("1"))
    session.commit()
    session.remove()
    assert recorded(store) == ["1"]


def test_a_session_inside_an_outer_transaction_rolls_back_with_it(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            record(session, OrderPlaced("gone"))
            session.commit()
        outer.rollback()
    with (
        engine.begin() as connection,
        Session(connection, join_transaction_mode="create_savepoint") as session,
    ):
        record(session, OrderPlaced("kept"))
        session.commit()
    assert recorded(store) == ["kept"]


def test_a_session_that_is_only_closed_in_an_outer_transaction_is_told_of(
    engine: Engine, store: SqlAlchemyEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    Base.metadata.create_all(engine)
    with engine.begin() as connection, Session(connection) as session:
        session.add(Order(id="1"))
        session.flush()
        record(session, OrderPlaced("1"))
    assert "1 event(s) that were recorded in it are not stored" in caplog.text

    caplog.clear()
    with engine.begin() as connection, Session(connection) as session:
        record(session, OrderPlaced("2"))
        session.commit()
    with engine.connect() as connection, connection.begin(), Session(connection) as session:
        session.execute(text("SELECT 1"))
        record(session, OrderPlaced("taken back"))
        session.rollback()
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        record(session, OrderPlaced("closed with its transaction"))
    assert caplog.text == ""
    assert recorded(store) == ["2"]


def test_a_connection_does_not_commit_without_the_events_of_a_session_that_it_was_given_to(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        session = Session(connection)
        session.add(Order(id="left open"))
        record(session, OrderPlaced("left open"))
        session.flush()
        with pytest.raises(EventStoreError, match=r"1 event\(s\) wait .* session.commit\(\) first"):
            connection.commit()
    session.close()
    with engine.begin() as connection:
        for name in ("1", "2"):
            session = Session(connection)
            session.add(Order(id=name))
            record(session, OrderPlaced(name))
            session.commit()
    with engine.connect() as connection:
        session = Session(connection)
        record(session, OrderPlaced("3"))
        session.commit()
        connection.commit()
    with Session(engine) as session:
        assert session.scalars(select(Order.id).order_by(Order.id)).all() == ["1", "2"]
    assert recorded(store) == ["1", "2", "3"]


def test_a_core_connection_records_at_once_in_its_transaction(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        record(connection, OrderPlaced("1"), OrderPlaced("2"))
        savepoint = connection.begin_nested()
        record(connection, OrderPlaced("rolled back"))
        savepoint.rollback()
    with engine.connect() as connection:
        record(connection, OrderPlaced("rolled back"))
        connection.rollback()
    assert recorded(store) == ["1", "2"]


def test_one_bad_event_of_a_call_lets_none_of_the_call_be_recorded(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        with pytest.raises(InvalidEventError, match="JSON cannot hold the body of 'Bad'"):
            record(session, OrderPlaced("good"), NewEvent("Bad", {"x": object()}))
        record(session, OrderPlaced("kept"))
        session.commit()
    assert recorded(store) == ["kept"]


def test_an_event_is_stored_as_it_was_when_it_was_recorded(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    body = {"total": 1}
    with Session(engine) as session:
        record(session, body, type_name="OrderPlaced")
        body["total"] = 2
        session.commit()
    assert [stored.body for stored in store.all_stored_events_since(0, 10)] == ['{"total":1}']


@dataclass
class Basket:
    """An aggregate that keeps its pending events in a list."""

    id: int = 7
    events: list[object] = field(default_factory=list)


class Account:
    """An aggregate that gives its pending events away."""

    def __init__(self, *events: object) -> None:
        self._pending = list(events)

    def pull_events(self) -> list[object]:
        pulled, self._pending = self._pending, []
        return pulled


@dataclass(frozen=True)
class ItemAdded:
    name: str


def test_an_aggregates_pending_events_are_recorded_once(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    basket = Basket(events=[ItemAdded("tea"), ItemAdded("milk")])
    account = Account(OrderPlaced("its own id"))
    with Session(engine) as session:
        record_from(session, basket, account)
        record_from(session, basket, account)
        session.commit()
    assert basket.events == []
    assert recorded(store) == ["7", "7", "its own id"]
    assert [e.body for e in store.all_stored_events_since(0, 2)] == [
        '{"name":"tea"}',
        '{"name":"milk"}',
    ]


def test_metadata_goes_with_all_events_of_all_aggregates(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    own = NewEvent("ItemAdded", {"name": "milk"}, metadata={"user": "Zoë"})
    basket = Basket(events=[ItemAdded("tea"), own])
    with Session(engine) as session:
        record_from(session, basket, Account(OrderPlaced("8")), metadata={"trace": "t1"})
        session.commit()
    assert [e.metadata for e in store.all_stored_events_since(0, 10)] == [
        '{"trace":"t1"}',
        '{"user":"Zoë"}',
        '{"trace":"t1"}',
    ]


def test_metadata_that_json_cannot_hold_leaves_the_aggregate_its_events(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    basket = Basket(events=[ItemAdded("tea")])
    with Session(engine) as session:
        with pytest.raises(InvalidEventError, match="metadata of 'ItemAdded'"):
            record_from(session, basket, metadata={"trace": object()})
        session.commit()
    assert len(basket.events) == 1
    assert recorded(store) == []


def test_an_aggregate_with_a_bad_event_keeps_all_of_them_and_records_none(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    basket = Basket(events=[ItemAdded("tea"), NewEvent("Bad", object())])
    with Session(engine) as session:
        with pytest.raises(InvalidEventError, match="'Bad'"):
            record_from(session, basket)
        session.commit()
    assert len(basket.events) == 2
    assert recorded(store) == []


def test_an_aggregate_without_the_convention_is_named(engine: Engine) -> None:
    with Session(engine) as session, pytest.raises(TypeError, match="ItemAdded has neither"):
        record_from(session, ItemAdded("tea"))


def test_what_is_no_session_is_named(store: SqlAlchemyEventStore) -> None:
    with pytest.raises(TypeError, match="not Basket") as refused:
        record(Basket(), OrderPlaced("1"))
    assert "Tidings.from_file().event_store()" in str(refused.value)
    with pytest.raises(TypeError, match="not Basket"):
        store.append(Basket(), NewEvent("A", {}))
