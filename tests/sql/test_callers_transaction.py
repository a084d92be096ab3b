"""What is written goes into the caller's own transaction, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tests.sql.callers import EVENT, WRITERS, Order, counted, reading_from, tables
from tests.sql.databases import application_engine, event_store, url_of
from tidings import Inbox, record
from tidings.errors import EventStoreError, UnsafeStoreError
from tidings.sql.outbox import OutboxMessageDispatcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidings.sql.event_store import SqlAlchemyEventStore


def _retrieve(target: Any, _store: SqlAlchemyEventStore) -> None:
    OutboxMessageDispatcher(target).retrieve_not_dispatched_messages(10)


def test_a_session_that_reads_from_replicas_is_asked_as_a_writer(
    sqlite_store: SqlAlchemyEventStore, tmp_path: Path
) -> None:
    leader = tables(application_engine(url_of(sqlite_store)))
    store = event_store(f"sqlite:///{tmp_path / 'follower.db'}")
    store.create()
    store.close()
    follower = tables(application_engine(url_of(store)))

    routing_session = reading_from(follower, leader)
    for write in WRITERS:
        with routing_session() as session, session.begin():
            write(session, sqlite_store)
    with routing_session() as session, session.begin():
        dispatcher = OutboxMessageDispatcher(session)
        messages = dispatcher.retrieve_not_dispatched_messages(10)
        assert [message.stored.type_name for message in messages] == ["A"]
        dispatcher.mark_as_dispatched(messages)
    assert counted(leader) == {"event": 2, "outbox": 1, "inbox": 1}
    assert counted(follower) == {"event": 0, "outbox": 0, "inbox": 0}


@pytest.mark.parametrize("write", WRITERS)
def test_a_session_that_does_not_know_our_table_says_what_to_give_it(
    sqlite_store: SqlAlchemyEventStore, write: Callable[[Any, SqlAlchemyEventStore], None]
) -> None:
    engine = tables(application_engine(url_of(sqlite_store)))
    with Session(binds={Order: engine}) as session:

        def write_and_commit() -> None:
            write(session, sqlite_store)
            session.commit()

        with pytest.raises(EventStoreError, match=r"table '\w+' is.*Session\(bind=engine, binds"):
            write_and_commit()
    assert counted(engine) == {"event": 0, "outbox": 0, "inbox": 0}


def test_a_session_may_bind_our_tables_themselves(sqlite_store: SqlAlchemyEventStore) -> None:
    from tidings.sql import inbox_metadata, metadata  # noqa: PLC0415

    engine = tables(application_engine(url_of(sqlite_store)))
    elsewhere = create_engine("sqlite://")
    ours = (metadata.tables["event"], inbox_metadata.tables["inbox"])
    with Session(elsewhere, binds=dict.fromkeys((Order, *ours), engine)) as session:
        record(session, EVENT)
        Inbox("shop", "orders").record(session, "1")
        session.commit()
    assert counted(engine) == {"event": 1, "outbox": 0, "inbox": 1}


@pytest.mark.parametrize("write", [*WRITERS, _retrieve])
@pytest.mark.parametrize("kind", ["session", "connection"])
def test_autocommit_is_refused(
    database_url: str, write: Callable[[Any, SqlAlchemyEventStore], None], kind: str
) -> None:
    store = event_store(database_url)
    store.create()
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    tables(engine)
    with Session(engine) if kind == "session" else engine.connect() as target:

        def write_and_commit() -> None:
            write(target, store)
            target.commit()

        with pytest.raises(UnsafeStoreError, match="AUTOCOMMIT"):
            write_and_commit()
    assert counted(engine) == {"event": 0, "outbox": 0, "inbox": 0}
    store.close()


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("kind", ["session", "connection"])
def test_a_savepoint_that_would_commit_by_itself_is_refused(
    sqlite_store: SqlAlchemyEventStore,
    write: Callable[[Any, SqlAlchemyEventStore], None],
    kind: str,
) -> None:
    engine = tables(create_engine(url_of(sqlite_store), poolclass=NullPool))
    with Session(engine) if kind == "session" else engine.connect() as target:

        def write_in_a_savepoint() -> None:
            with target.begin_nested():
                write(target, sqlite_store)
                if isinstance(target, Session):
                    target.add(Order())

        with pytest.raises(UnsafeStoreError, match="savepoint on this SQLite connection"):
            write_in_a_savepoint()
        target.rollback()
    assert sum(counted(engine, "orders").values()) == 0


def test_a_savepoint_beside_what_was_recorded_is_refused_before_it_commits(
    sqlite_store: SqlAlchemyEventStore,
) -> None:
    engine = tables(create_engine(url_of(sqlite_store), poolclass=NullPool))
    with Session(engine) as session:
        record(session, EVENT)
        with (
            pytest.raises(UnsafeStoreError, match="savepoint on this SQLite connection"),
            session.begin_nested(),
        ):
            session.add(Order())
        session.rollback()
    assert sum(counted(engine, "orders").values()) == 0


@pytest.mark.parametrize("write", WRITERS)
def test_without_a_savepoint_sqlite_as_sqlalchemy_opens_it_will_do(
    sqlite_store: SqlAlchemyEventStore, write: Callable[[Any, SqlAlchemyEventStore], None]
) -> None:
    engine = tables(create_engine(url_of(sqlite_store), poolclass=NullPool))
    with Session(engine) as session:
        write(session, sqlite_store)
        session.rollback()
        assert sum(counted(engine).values()) == 0
        write(session, sqlite_store)
        session.commit()
    assert sum(counted(engine).values()) == 1
