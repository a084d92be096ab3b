"""Recording events from asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Integer, MetaData, Table, event, make_url
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_object_session,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, registry

from tidings.errors import EventStoreError
from tidings.event import NewEvent
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.recording import record
from tidings.sql.settings import SqlAlchemySettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.servers.given import DatabaseServer


class Order:
    """The application's aggregate."""


orders = Table("orders", MetaData(), Column("id", Integer, primary_key=True))
registry().map_imperatively(Order, orders)

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


class AsyncDatabase:
    """A database that asyncio writes to and the store reads."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.store = SqlAlchemyEventStore(SqlAlchemySettings(url=SecretStr(url)))

    def after(self, work: Callable[[AsyncEngine], Awaitable[None]]) -> list[str]:
        """Do the work on an asynchronous engine; return what is stored then."""
        asyncio.run(self._run(work))
        stored = [event.type_name for event in self.store.all_stored_events_since(0, 100)]
        self.store.close()
        return stored

    async def _run(self, work: Callable[[AsyncEngine], Awaitable[None]]) -> None:
        driver = DRIVERS[self.url.get_backend_name()]
        engine = create_async_engine(self.url.set(drivername=driver))
        try:
            await work(engine)
        finally:
            await engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncDatabase:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'events.db'}"
    else:
        server: DatabaseServer = request.getfixturevalue("postgresql")
        url = server.new_database()
    database = AsyncDatabase(url)
    database.store.create()
    return database


def test_an_async_session_stores_with_its_commit_and_forgets_with_its_rollback(
    database: AsyncDatabase,
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with async_sessionmaker(engine)() as session:
            record(session, NewEvent("Kept", {}), NewEvent("KeptToo", {}))
            await session.commit()
            record(session, NewEvent("RolledBack", {}))
            await session.rollback()
            async with session.begin():
                record(session, NewEvent("InABlock", {}))

    assert database.after(work) == ["Kept", "KeptToo", "InABlock"]


def test_a_scoped_async_session_records(database: AsyncDatabase) -> None:
    async def work(engine: AsyncEngine) -> None:
        scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
        record(scoped, NewEvent("Kept", {}))
        with pytest.raises(TypeError, match=r"await session\.run_sync\(store\.append, event\)"):
            database.store.append(scoped, NewEvent("A", {}))
        await scoped.commit()
        await scoped.remove()

    assert database.after(work) == ["Kept"]


@pytest.mark.parametrize("hook", ["before_commit", "before_flush", "after_flush"])
def test_what_a_hook_of_an_async_commit_records_first_is_stored(
    database: AsyncDatabase, hook: str
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(orders.create)
        async with AsyncSession(engine) as session:
            names = ["Hooked"]

            def called(sync_session: Session, *_: object) -> None:
                if names:
                    record(sync_session, NewEvent(names.pop(), {}))

            event.listen(session.sync_session, hook, called)
            session.add(Order())
            await session.commit()

    assert database.after(work) == ["Hooked"]


@pytest.mark.parametrize("hook", ["before_insert", "after_insert"])
def test_what_a_mappers_hook_records_first_in_an_async_session_is_stored(
    database: AsyncDatabase, hook: str
) -> None:
    def called(_mapper: object, _connection: object, order: Order) -> None:
        record(Session.object_session(order), NewEvent("ThroughSession", {}))
        record(async_object_session(order), NewEvent("ThroughAsyncSession", {}))

    async def work(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.run_sync(orders.create)
        async with AsyncSession(engine) as session:
            session.add(Order())
            await session.commit()
            session.add(Order())
            await session.flush()
            await session.rollback()

    event.listen(Order, hook, called)
    try:
        assert database.after(work) == ["ThroughSession", "ThroughAsyncSession"]
    finally:
        event.remove(Order, hook, called)


def test_after_a_commit_that_failed_an_async_session_records_without_await(
    database: AsyncDatabase,
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            failing = [True]

            def fail(_session: Session) -> None:
                if failing and failing.pop():
                    raise ZeroDivisionError

            event.listen(session.sync_session, "before_commit", fail)
            record(session, NewEvent("First", {}))
            with pytest.raises(ZeroDivisionError):
                await session.commit()
            record(session, NewEvent("Second", {}))
            await session.commit()

    assert database.after(work) == ["First", "Second"]


def test_an_async_sessions_own_connection_does_not_commit_without_its_events(
    database: AsyncDatabase,
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            record(session, NewEvent("A", {}))
            connection = await session.connection()
            with pytest.raises(EventStoreError, match="This connection cannot commit"):
                await connection.commit()
            await session.rollback()
            record(session, NewEvent("B", {}))
            await session.commit()

    assert database.after(work) == ["B"]


def test_append_runs_inside_an_async_session(database: AsyncDatabase) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session, session.begin():
            await session.run_sync(database.store.append, NewEvent("A", {}), NewEvent("B", {}))
        async with engine.begin() as connection:
            await connection.run_sync(record, NewEvent("C", {}))

    assert database.after(work) == ["A", "B", "C"]


def test_what_would_need_an_await_says_how_to_await_it(database: AsyncDatabase) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            with pytest.raises(TypeError, match=r"await session\.run_sync\(store\.append, event\)"):
                database.store.append(session, NewEvent("A", {}))
        async with engine.begin() as connection:
            with pytest.raises(TypeError, match=r"await connection\.run_sync\(record, event\)"):
                record(connection, NewEvent("A", {}))

    assert database.after(work) == []
