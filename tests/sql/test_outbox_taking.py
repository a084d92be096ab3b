"""Workers that take messages out of an outbox get them whatever lies beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from tests.sql.databases import application_engine
from tidings.errors import UnreadableEventError
from tidings.event import NewEvent
from tidings.sql.outbox import (
    MessageInOutbox,
    OutboxMessageDispatcher,
    OutboxSettings,
    outbox_event_store,
    taking,
)
from tidings.sql.reading import BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.servers.given import DatabaseServer

NO_TIME = {"sqlite": "1790000000", "postgresql": "infinity", "mysql": "0000-00-00"}
LARGE = "x" * (BATCH_BYTES // 4)


@pytest.fixture
def outbox(database_url: str) -> Iterator[Engine]:
    yield from engine_of_an_outbox(database_url)


@pytest.fixture
def mariadb_outbox(mariadb: DatabaseServer) -> Iterator[Engine]:
    yield from engine_of_an_outbox(mariadb.new_database())


def engine_of_an_outbox(url: str) -> Iterator[Engine]:
    store = outbox_event_store(OutboxSettings.model_validate({"url": url}))
    store.create()
    store.close()
    engine = application_engine(url)
    yield engine
    engine.dispose()


def dispatch(engine: Engine, *bodies: object) -> None:
    with engine.begin() as connection:
        OutboxMessageDispatcher(connection).dispatch(*(NewEvent("Said", body) for body in bodies))


def spoil(engine: Engine, *event_ids: int) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "mysql":
            connection.execute(text("SET SESSION sql_mode = ''"))
        change = f"UPDATE outbox SET occurred_on = '{NO_TIME[engine.dialect.name]}'"
        for event_id in event_ids:
            connection.execute(text(f"{change} WHERE event_id = {event_id}"))


def mend(engine: Engine, event_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE outbox SET occurred_on = (SELECT occurred_on FROM (SELECT * FROM outbox) "
                "AS other WHERE event_id = 1) WHERE event_id = :id"
            ).bindparams(id=event_id)
        )


def work(engine: Engine, limit: int = 100) -> tuple[list[str], list[int]]:
    """Do once what a worker does; return the bodies, and the ids of what cannot be read."""
    bodies: list[str] = []
    unreadable: list[int] = []
    done: list[MessageInOutbox] = []
    with engine.begin() as connection:
        dispatcher = OutboxMessageDispatcher(connection)
        for in_outbox in dispatcher.retrieve_not_dispatched_messages(limit):
            try:
                bodies += [stored.body for stored in in_outbox.messages()]
            except UnreadableEventError:
                unreadable.append(in_outbox.message_id)
            else:
                done.append(in_outbox)
        dispatcher.mark_as_dispatched(done)
    return bodies, unreadable


def test_a_row_that_cannot_be_read_keeps_no_worker_from_the_others(outbox: Engine) -> None:
    dispatch(outbox, 1, 2, 3, 4)
    spoil(outbox, 2)

    assert work(outbox) == (["1"], [])
    assert work(outbox) == (["3", "4"], [2])
    dispatch(outbox, 5)
    assert work(outbox, limit=1) == (["5"], [2])
    assert work(outbox) == ([], [2])
    mend(outbox, 2)
    assert work(outbox) == (["2"], [])
    assert work(outbox) == ([], [])


def test_it_is_named_with_its_table_wherever_it_is_asked_for(outbox: Engine) -> None:
    dispatch(outbox, 1)
    spoil(outbox, 1)

    with outbox.begin() as connection:
        dispatcher = OutboxMessageDispatcher(connection)
        (spoilt,) = dispatcher.retrieve_not_dispatched_messages(10)
        asks: list[Callable[[], object]] = [lambda: spoilt.stored, lambda: [*spoilt.messages()]]
        for ask in asks:
            with pytest.raises(
                UnreadableEventError, match=r"Event 1 \(Said\) .*occurred_on.* table 'outbox'"
            ):
                ask()
        dispatcher.remove_from_outbox([spoilt])
    assert work(outbox) == ([], [])


def test_of_very_many_such_rows_a_hundred_are_looked_at(
    outbox: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST_UNREADABLE", 2)
    dispatch(outbox, 1, 2, 3, 4)
    spoil(outbox, 1, 2, 3)

    assert work(outbox) == ([], [1, 2])


def test_large_messages_are_given_as_many_at_once_as_the_relay_reads(outbox: Engine) -> None:
    dispatch(outbox, *(f"{number}{LARGE}" for number in range(8)))

    batches: list[Sequence[str]] = []
    while (batch := work(outbox)[0]) or not batches:
        batches.append(batch)

    assert [body[1] for batch in batches for body in batch] == list("01234567")
    assert max(sum(map(len, batch)) for batch in batches) <= BATCH_BYTES
    assert len(batches) < 5


def test_a_single_message_may_be_larger(outbox: Engine) -> None:
    dispatch(outbox, 5 * LARGE, 1)

    assert [len(body) > BATCH_BYTES for body in work(outbox)[0]] == [True]
    assert work(outbox) == (["1"], [])


def test_large_messages_that_the_transaction_does_not_see_yet_are_given_whole(
    mariadb_outbox: Engine,
) -> None:
    """In REPEATABLE READ only what locks sees what was committed since."""
    with mariadb_outbox.begin() as connection:
        set_snapshot_isolation(connection, "OFF")
        connection.execute(text("SELECT count(*) FROM outbox")).scalar_one()
        dispatch(mariadb_outbox, *(f"{number}{LARGE}" for number in range(3)))
        dispatcher = OutboxMessageDispatcher(connection)
        given = dispatcher.retrieve_not_dispatched_messages(10)

        assert [message.stored.body[1] for message in given] == ["0", "1", "2"]


def test_what_mariadb_refuses_as_newer_than_the_transaction_is_given_to_the_next_one(
    mariadb_outbox: Engine,
) -> None:
    """From 11.6 on by default: else a transaction would see two states of the database."""
    with mariadb_outbox.connect() as connection:
        if not set_snapshot_isolation(connection, "ON"):
            pytest.skip("MySQL has no innodb_snapshot_isolation")
        connection.execute(text("SELECT count(*) FROM outbox")).scalar_one()
        dispatch(mariadb_outbox, *(f"{number}{LARGE}" for number in range(3)))
        dispatcher = OutboxMessageDispatcher(connection)
        with pytest.raises(DBAPIError, match="1020"):
            dispatcher.retrieve_not_dispatched_messages(10)
        connection.rollback()

        given = dispatcher.retrieve_not_dispatched_messages(10)

        assert [message.stored.body[1] for message in given] == ["0", "1", "2"]


def set_snapshot_isolation(connection: Connection, to: str) -> bool:
    """Set it for this session, and tell whether the server knows it."""
    known = text("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'")
    is_known = connection.execute(known).one_or_none() is not None
    if is_known:
        connection.execute(text(f"SET SESSION innodb_snapshot_isolation = {to}"))
    return is_known


def test_what_the_database_itself_refuses_is_told_in_its_own_words(outbox: Engine) -> None:
    with outbox.begin() as connection:
        connection.execute(text("DROP TABLE outbox"))

    with outbox.connect() as connection, pytest.raises(DBAPIError, match=r"outbox"):
        OutboxMessageDispatcher(connection, table_name="outbox").retrieve_not_dispatched_messages(1)
