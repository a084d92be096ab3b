"""A handler's effect happens once, however often its message is delivered."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, make_url, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.sql.databases import application_engine
from tests.sql.waiting import Beside
from tidings import Inbox
from tidings.errors import StoreNotReadyError, UnsafeStoreError
from tidings.sql import inbox_metadata, metadata
from tidings.sql.inbox_table import inbox as table

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.inbox.conftest import Consumer
    from tests.servers.given import DatabaseServer


def test_a_message_delivered_twice_has_one_effect(consumer: Consumer) -> None:
    assert [consumer.deliver("7"), consumer.deliver("7"), consumer.deliver("8")] == [
        True,
        False,
        True,
    ]
    assert consumer.effects == ["7", "8"]


def test_a_message_delivered_to_eight_threads_at_once_has_one_effect(consumer: Consumer) -> None:
    messages = [str(n) for n in range(10)]
    together = threading.Barrier(8)

    def deliver_all() -> list[bool]:
        handled = []
        for message in messages:
            together.wait(30)
            handled.append(consumer.deliver(message))
        return handled

    with ThreadPoolExecutor(8) as threads:
        handled = [thread.result() for thread in [threads.submit(deliver_all) for _ in range(8)]]
    assert [sum(each) for each in zip(*handled, strict=True)] == [1] * 10
    assert sorted(consumer.effects) == messages


def test_a_message_whose_handler_failed_is_new_when_it_comes_again(consumer: Consumer) -> None:
    with Session(consumer.engine) as session:
        assert consumer.handle(session, "7")
        session.rollback()
    assert consumer.deliver("7")
    assert consumer.effects == ["7"]


@pytest.mark.parametrize("first_one", ["commits", "rolls back"])
def test_a_second_delivery_waits_for_the_first_and_follows_its_end(
    consumer: Consumer, first_one: str
) -> None:
    handled = []
    started = threading.Event()

    def deliver() -> None:
        started.set()
        handled.append(consumer.deliver("7"))

    with Session(consumer.engine) as session:
        assert consumer.handle(session, "7")
        second = Beside(deliver)
        assert started.wait(10)
        second.join(0.3)
        assert second.is_alive(), "the second delivery did not wait for the first"
        if first_one == "commits":
            session.commit()
        else:
            session.rollback()
    second.result()
    assert handled == [first_one == "rolls back"]
    assert consumer.effects == ["7"]


def test_a_savepoint_that_is_rolled_back_forgets_the_message(consumer: Consumer) -> None:
    with Session(consumer.engine) as session, session.begin():
        savepoint = session.begin_nested()
        assert consumer.handle(session, "7")
        savepoint.rollback()
        assert consumer.handle(session, "7")
    assert consumer.effects == ["7"]


def test_consumers_and_exchanges_do_not_share_what_they_handled(engine: Engine) -> None:
    inboxes = [Inbox("billing", "orders"), Inbox("audit", "orders"), Inbox("billing", "stock")]
    with engine.begin() as connection:
        assert [inbox.record(connection, "7") for inbox in inboxes] == [True, True, True]
        assert [inbox.record(connection, "7") for inbox in inboxes] == [False, False, False]


def test_a_scoped_session_will_do(consumer: Consumer) -> None:
    sessions = scoped_session(sessionmaker(consumer.engine))
    assert consumer.inbox.record(sessions, "7")
    sessions.commit()
    sessions.remove()
    assert not consumer.deliver("7")


def test_what_was_handled_long_ago_is_forgotten_by_its_consumer_alone(engine: Engine) -> None:
    ours, other = Inbox("billing", "orders"), Inbox("audit", "orders")
    with engine.begin() as connection:
        for n in range(25):
            ours.record(connection, str(n))
        other.record(connection, "1")
        long_ago = datetime.now(UTC) - timedelta(days=40)
        old = table.c.message_id.in_([str(n) for n in range(20)])
        connection.execute(update(table).where(old).values(handled_on=long_ago))
    assert ours.prune(engine, timedelta(days=41)) == 0
    assert ours.prune(engine, timedelta(days=30), batch_size=3) == 20
    with engine.begin() as connection:
        left = connection.execute(select(table.c.consumer, table.c.message_id)).all()
        assert sorted(map(tuple, left)) == [("audit", "1")] + [
            ("billing", str(n)) for n in range(20, 25)
        ]
        assert ours.record(connection, "1")


def test_pruning_on_a_connection_is_the_callers_to_commit(consumer: Consumer) -> None:
    consumer.deliver("7")
    with consumer.engine.connect() as connection:
        assert consumer.inbox.prune(connection, timedelta(0)) == 1
        connection.rollback()
    assert not consumer.deliver("7")


def test_eight_consumers_that_start_at_once_make_the_table_once(database_url: str) -> None:
    _make_at_once(application_engine(database_url))


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_so_they_do_if_their_url_names_mariadb(database_url: str) -> None:
    engine = application_engine(database_url)
    with engine.connect() as connection:
        version = connection.execute(text("SELECT VERSION()")).scalar_one()
    engine.dispose()
    if "mariadb" not in version.lower():
        pytest.skip("SQLAlchemy refuses MySQL under a URL that names MariaDB")
    _make_at_once(application_engine(database_url.replace("mysql", "mariadb", 1)))


def _make_at_once(engine: Engine) -> None:
    together = threading.Barrier(8)

    def create() -> None:
        together.wait(30)
        Inbox.create(engine)

    with ThreadPoolExecutor(8) as threads:
        for thread in [threads.submit(create) for _ in range(8)]:
            thread.result()
    assert [index["name"] for index in inspect(engine).get_indexes("inbox")] == [
        "ix_inbox_handled_on"
    ]
    engine.dispose()


def test_the_ddl_makes_a_table_that_works(database_url: str) -> None:
    engine = application_engine(database_url)
    with engine.begin() as connection:
        for statement in Inbox.ddl(engine).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    with engine.begin() as connection:
        assert Inbox("billing", "orders").record(connection, "7")
        Inbox.create(connection)
    engine.dispose()


def test_a_missing_table_says_what_to_do(database_url: str) -> None:
    engine = application_engine(database_url)
    with (
        engine.connect() as connection,
        pytest.raises(StoreNotReadyError, match=r"no table 'inbox'.*Inbox\.create"),
    ):
        Inbox("billing", "orders").record(connection, "7")
    engine.dispose()


def test_a_connection_that_commits_by_itself_is_refused(database_url: str, engine: Engine) -> None:
    by_itself = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with by_itself.connect() as connection, pytest.raises(UnsafeStoreError, match="AUTOCOMMIT"):
        Inbox("billing", "orders").record(connection, "7")
    by_itself.dispose()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM inbox")).scalar_one() == 0


def test_a_record_on_sqlalchemys_own_engine_is_part_of_its_transaction(
    database_url: str, engine: Engine
) -> None:
    plain = create_engine(database_url)
    with plain.connect() as connection:
        assert Inbox("billing", "orders").record(connection, "7")
        connection.rollback()
        assert Inbox("billing", "orders").record(connection, "7")
        connection.commit()
    plain.dispose()


def test_mariadb_says_so_where_a_message_was_handled_since_the_transaction_first_read(
    mariadb: DatabaseServer,
) -> None:
    """From 11.6 on by default; what else the transaction has done is undone by the server."""
    engine = application_engine(mariadb.new_database())
    Inbox.create(engine)
    with engine.connect() as connection:
        known = "SHOW VARIABLES LIKE 'innodb_snapshot_isolation'"
        if connection.execute(text(known)).one_or_none() is None:
            pytest.skip("MySQL has no innodb_snapshot_isolation")
    inbox = Inbox("billing", "orders")
    with engine.connect() as late:
        late.execute(text("SET SESSION innodb_snapshot_isolation = ON"))
        late.execute(text("SELECT * FROM inbox")).all()
        with engine.begin() as other:
            assert inbox.record(other, "7")
        with pytest.raises(OperationalError, match="1020"):
            inbox.record(late, "7")
        late.rollback()
        assert not inbox.record(late, "7")
    engine.dispose()


def test_the_longest_keys_fit_into_the_index(engine: Engine) -> None:
    inbox = Inbox("\N{PILE OF POO}" * 127, "\N{PILE OF POO}" * 127)
    longest = "\N{PILE OF POO}" * 255
    with engine.begin() as connection:
        assert inbox.record(connection, longest)
        assert not inbox.record(connection, longest)
        assert inbox.record(connection, longest[:-1])
        kept = connection.scalars(select(table.c.message_id)).all()
    assert sorted(kept) == [longest[:-1], longest]


@pytest.mark.parametrize(("one", "other"), [("7", "7 "), ("a", "A"), ("a", "á"), ("ss", "ß")])
def test_ids_that_a_collation_would_take_for_equal_are_two(
    consumer: Consumer, one: str, other: str
) -> None:
    assert consumer.deliver(one)
    assert consumer.deliver(other)


@pytest.mark.parametrize("charset", ["utf8mb3", "latin1"])
def test_names_and_ids_that_a_connection_cannot_hold_are_not_taken_for_one_another(
    mariadb: DatabaseServer, charset: str
) -> None:
    url = make_url(mariadb.new_database()).update_query_dict({"charset": charset})
    engine = create_engine(url)
    Inbox.create(engine)
    keys = [("shop 😀", "x", "1"), ("shop 😁", "x", "1"), ("shop 😁", "x", "😀"), ("я", "ü", "😁")]
    with Session(engine) as session:
        for expected in (True, False):
            for consumer, exchange, message_id in keys:
                assert Inbox(consumer, exchange).record(session, message_id) is expected
        session.commit()
    engine.dispose()


@pytest.mark.parametrize("message_id", ["", "x" * 256, "a\0b", "\ud800"])
def test_an_id_that_could_not_be_told_from_others_is_refused(
    consumer: Consumer, message_id: str
) -> None:
    with pytest.raises(ValueError, match="message"):
        consumer.deliver(message_id)


@pytest.mark.parametrize("name", ["", " billing", "billing ", "x" * 128, "a\nb"])
def test_a_name_that_some_database_would_change_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^consumer must have 1 to 127"):
        Inbox(name, "orders")
    with pytest.raises(ValueError, match=r"^exchange_name must have 1 to 127"):
        Inbox("billing", name)


def test_a_number_or_something_else_than_a_session_is_refused(consumer: Consumer) -> None:
    with pytest.raises(TypeError, match="give it as it arrived"):
        consumer.inbox.record(None, 7)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="Session or Connection, not Engine"):
        consumer.inbox.record(consumer.engine, "7")  # type: ignore[arg-type]  # what is tested


def test_the_inbox_is_not_among_the_tables_of_the_event_store() -> None:
    assert list(inbox_metadata.tables) == ["inbox"]
    assert "inbox" not in metadata.tables
