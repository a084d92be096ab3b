"""The transactional outbox: stored with the caller's transaction, taken out by workers."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, inspect, text
from sqlalchemy.orm import Session

from tests.sql.databases import application_engine
from tests.sql.waiting import Beside
from tidings.errors import InvalidEventError
from tidings.event import NewEvent, StoredEvent
from tidings.sql.outbox import (
    Layout,
    OutboxMessageDispatcher,
    OutboxSettings,
    outbox_event_store,
    outbox_table,
)
from tidings.sql.recorded_event import as_new_event

if TYPE_CHECKING:
    from collections.abc import Iterable

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)


@dataclass(frozen=True)
class OrderPlaced:
    aggregate_id: str
    total: int = 0


@pytest.fixture
def outbox(database_url: str) -> Iterable[Engine]:
    """Give the application's engine for a database that has an outbox."""
    store = outbox_event_store(OutboxSettings.model_validate({"url": database_url}))
    store.create()
    store.create()
    store.check()
    store.close()
    engine = application_engine(database_url)
    if engine.dialect.name == "mysql":
        # As the dispatcher's docstring asks of its workers there.
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    yield engine
    engine.dispose()


def waiting(engine: Engine) -> list[str | None]:
    with engine.begin() as connection:
        messages = OutboxMessageDispatcher(connection).retrieve_not_dispatched_messages(1000)
        return [message.stored.aggregate_id for message in messages]


def test_messages_wait_in_order_until_they_are_marked(outbox: Engine) -> None:
    with Session(outbox) as session:
        OutboxMessageDispatcher(session).dispatch(*(OrderPlaced(str(n)) for n in range(5)))
        session.commit()
    with outbox.begin() as connection:
        dispatcher = OutboxMessageDispatcher(connection, clock=lambda: WHEN)
        first = dispatcher.retrieve_not_dispatched_messages(2)
        assert [message.stored.aggregate_id for message in first] == ["0", "1"]
        assert [message.stored.type_name for message in first] == ["OrderPlaced"] * 2
        assert first[0].message_id < first[1].message_id
        dispatcher.mark_as_dispatched(first)
    assert waiting(outbox) == ["2", "3", "4"]
    with outbox.connect() as connection:
        marked = connection.execute(text("SELECT dispatched_on FROM outbox ORDER BY event_id"))
        assert [str(when)[:10] for (when,) in marked] == ["2026-01-02"] * 2 + ["None"] * 3


def test_removed_messages_are_gone(outbox: Engine) -> None:
    with outbox.begin() as connection:
        dispatcher = OutboxMessageDispatcher(connection)
        dispatcher.dispatch(OrderPlaced("1"), OrderPlaced("2"))
        dispatcher.remove_from_outbox(dispatcher.retrieve_not_dispatched_messages(1))
    assert waiting(outbox) == ["2"]
    with outbox.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM outbox")).scalar_one() == 1


def test_a_rollback_takes_messages_and_marks_with_it(outbox: Engine) -> None:
    with outbox.connect() as connection:
        OutboxMessageDispatcher(connection).dispatch(OrderPlaced("gone"))
        connection.rollback()
    with outbox.begin() as connection:
        OutboxMessageDispatcher(connection).dispatch(OrderPlaced("kept"))
    with outbox.connect() as connection:
        dispatcher = OutboxMessageDispatcher(connection)
        dispatcher.mark_as_dispatched(dispatcher.retrieve_not_dispatched_messages(10))
        connection.rollback()
    assert waiting(outbox) == ["kept"]


def test_one_bad_message_lets_none_of_the_call_be_stored(outbox: Engine) -> None:
    with outbox.begin() as connection, pytest.raises(InvalidEventError, match="'Bad'"):
        OutboxMessageDispatcher(connection).dispatch(OrderPlaced("1"), NewEvent("Bad", object()))
    assert waiting(outbox) == []


class Upcasting:
    """Stores baskets; gives back one message for each item."""

    def serialize(self, message: list[str]) -> NewEvent:
        return as_new_event({"items": message}, "Basket")

    def unserialize(self, stored: StoredEvent) -> Iterable[str]:
        return (f"{stored.type_name}:{word}" for word in stored.body.split('"')[3::2])


def test_one_stored_message_may_yield_several(outbox: Engine) -> None:
    with outbox.begin() as connection:
        dispatcher = OutboxMessageDispatcher(connection, serializer=Upcasting())
        dispatcher.dispatch(["tea", "milk"], [])
        basket, empty = dispatcher.retrieve_not_dispatched_messages(10)
    assert [m for m in basket.messages() if "," not in m] == ["Basket:tea", "Basket:milk"]
    assert list(empty.messages()) == []


def test_the_options_for_json_are_used(outbox: Engine) -> None:
    with outbox.begin() as connection:
        dispatcher = OutboxMessageDispatcher(
            connection, json_options={"ensure_ascii": True, "sort_keys": True}
        )
        dispatcher.dispatch(NewEvent("A", {"z": "é", "a": 1}))
        (message,) = dispatcher.retrieve_not_dispatched_messages(1)
    assert message.stored.body == '{"a": 1, "z": "\\u00e9"}'


def test_four_workers_give_nothing_twice_and_lose_nothing(outbox: Engine) -> None:
    count = 400
    given: list[int] = []
    written = threading.Event()

    def write() -> None:
        for number in range(0, count, 4):
            with outbox.begin() as connection:
                OutboxMessageDispatcher(connection).dispatch(
                    *(NewEvent("A", number + n) for n in range(4))
                )
        written.set()

    def work() -> None:
        while True:
            last_look = written.is_set()
            with outbox.begin() as connection:
                dispatcher = OutboxMessageDispatcher(connection)
                messages = dispatcher.retrieve_not_dispatched_messages(7)
                given.extend(int(message.stored.body) for message in messages)
                dispatcher.mark_as_dispatched(messages)
            if not messages and last_look:
                return

    threads = [Beside(write), *(Beside(work) for _ in range(4))]
    for thread in threads:
        thread.result(120)
    assert Counter(given) == Counter(range(count))


def test_rows_that_a_worker_has_are_passed_over_by_the_next(server_outbox: Engine) -> None:
    with server_outbox.begin() as connection:
        OutboxMessageDispatcher(connection).dispatch(*(OrderPlaced(str(n)) for n in range(4)))
    with server_outbox.begin() as one, server_outbox.begin() as two:
        first = OutboxMessageDispatcher(one).retrieve_not_dispatched_messages(2)
        second = OutboxMessageDispatcher(two).retrieve_not_dispatched_messages(10)
        assert [m.stored.aggregate_id for m in first] == ["0", "1"]
        assert [m.stored.aggregate_id for m in second] == ["2", "3"]


@pytest.fixture(params=["postgresql", "mariadb"])
def server_outbox(request: pytest.FixtureRequest) -> Iterable[Engine]:
    """Give an outbox where several transactions may work at once."""
    url = request.getfixturevalue(request.param).new_database()
    store = outbox_event_store(OutboxSettings.model_validate({"url": url}))
    store.create()
    store.close()
    engine = application_engine(url)
    yield engine.execution_options(isolation_level="READ COMMITTED")
    engine.dispose()


def test_the_layout_for_debezium_has_the_columns_that_its_router_reads(database_url: str) -> None:
    settings = OutboxSettings.model_validate(
        {"url": database_url, "table_name": "outboxevent", "layout": "debezium"}
    )
    store = outbox_event_store(settings)
    store.create()
    engine = application_engine(database_url)
    with engine.begin() as connection:
        OutboxMessageDispatcher(
            connection,
            table_name="outboxevent",
            layout=Layout.DEBEZIUM,
            aggregate_type="order",
        ).dispatch(OrderPlaced("7", 3))
    columns = {column["name"] for column in inspect(engine).get_columns("outboxevent")}
    assert columns >= {"id", "aggregatetype", "aggregateid", "type", "payload"}
    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT id, aggregatetype, aggregateid, type, payload FROM outboxevent")
        ).one()
    assert tuple(row) == (1, "order", "7", "OrderPlaced", '{"aggregate_id":"7","total":3}')
    assert store.all_stored_events_since(0, 10)[0].type_name == "OrderPlaced"
    store.close()
    engine.dispose()


@pytest.mark.parametrize("name", ["", "a b", "x;drop", "1a", "ä" * 3, "a" * 60])
def test_a_table_name_that_would_need_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a table"):
        outbox_table(name)
    with pytest.raises(ValidationError, match="cannot be the name of a table"):
        OutboxSettings.model_validate({"url": "sqlite:///a.db", "table_name": name})
