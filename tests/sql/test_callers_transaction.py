"""What is written goes into the caller's own transaction, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Delete, Integer, MetaData, Table, Update, create_engine, text
from sqlalchemy.orm import Session, registry
from sqlalchemy.pool import NullPool
from typing_extensions import override

from tests.sql.databases import application_engine, event_store, url_of
from tidings import Inbox, NewEvent, record
from tidings.errors import EventStoreError, UnsafeStoreError
from tidings.sql.outbox import OutboxMessageDispatcher, outbox_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tidings.sql.event_store import SqlAlchemyEventStore

EVENT = NewEvent("A", {})
outbox = outbox_table()


class Order:
    """The application's aggregate."""


orders = Table("orders", MetaData(), Column("id", Integer, primary_key=True))
registry().map_imperatively(Order, orders)


def tables(engine: Engine) -> Engine:
    outbox.create(engine)
    orders.create(engine)
    Inbox.create(engine)
    return engine


def counted(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in ("event", "outbox", "inbox")
        }


def _record(target: Any, _store: SqlAlchemyEventStore) -> None:
    record(target, EVENT)


def _append(target: Any, store: SqlAlchemyEventStore) -> None:
    store.append(target, EVENT)


def _dispatch(target: Any, _store: SqlAlchemyEventStore) -> None:
    OutboxMessageDispatcher(target).dispatch(EVENT)


def _retrieve(target: Any, _store: SqlAlchemyEventStore) -> None:
    OutboxMessageDispatcher(target).retrieve_not_dispatched_messages(10)


def _note(target: Any, _store: SqlAlchemyEventStore) -> None:
    Inbox("billing", "orders").record(target, "7")


WRITERS: list[Callable[[Any, SqlAlchemyEventStore], None]] = [_record, _append, _dispatch, _note]


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqlAlchemyEventStore]:
    store = event_store(f"sqlite:///{tmp_path / 'events.db'}")
    store.create()
    yield store
    store.close()


def test_a_session_that_reads_from_replicas_is_asked_as_a_writer(
    sqlite_store: SqlAlchemyEventStore, tmp_path: Path
) -> None:
    leader = tables(application_engine(url_of(sqlite_store)))
    store = event_store(f"sqlite:///{tmp_path / 'follower.db'}")
    store.create()
    store.close()
    follower = tables(application_engine(url_of(store)))

    class RoutingSession(Session):
        """As SQLAlchemy's page on partitions shows it."""

        @override
        def get_bind(self, mapper: Any = None, clause: Any = None, **_: Any) -> Any:
            writes = self._flushing or isinstance(clause, Update | Delete)
            return leader if writes else follower

    for write in WRITERS:
        with RoutingSession() as session, session.begin():
            write(session, sqlite_store)
    with RoutingSession() as session, session.begin():
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
    assert counted(engine) == {"event": 0, "outbox": 0, "inbox": 0}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar_one() == 0


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
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar_one() == 0


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
