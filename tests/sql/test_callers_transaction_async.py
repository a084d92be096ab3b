"""What is written from asyncio goes into the caller's own transaction, or is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from tests.sql.callers import WRITERS, Order, by_record, counted, reading_from, tables
from tests.sql.databases import application_engine, event_store, let_sqlalchemy_begin, url_of
from tests.sql.test_async_drivers import DRIVERS
from tidings import NewEvent, record
from tidings.errors import UnsafeStoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tidings.sql.event_store import SqlAlchemyEventStore

    Write = Callable[[Any, SqlAlchemyEventStore], None]

EVERY_WRITER = pytest.mark.parametrize("write", WRITERS)


def run(
    work: Callable[..., Awaitable[None]], *urls: str, driver: str = "aiosqlite", **given: Any
) -> None:
    """Do the work on asynchronous engines for these databases."""

    async def on_engines() -> None:
        engines = []
        for each in urls:
            url = make_url(each)
            through = url.set(drivername=f"{url.get_backend_name()}+{driver}")
            engines.append(create_async_engine(through, **given))
        try:
            await work(*engines)
        finally:
            for engine in engines:
                await engine.dispose()

    asyncio.run(on_engines())


async def write_through(session: AsyncSession, write: Write, store: SqlAlchemyEventStore) -> None:
    if write is by_record:
        write(session, store)  # no database is touched, and nothing is to be awaited
    else:
        await session.run_sync(write, store)


def test_an_async_session_that_reads_from_replicas_is_asked_as_a_writer(
    sqlite_store: SqlAlchemyEventStore, tmp_path: Path
) -> None:
    store = event_store(f"sqlite:///{tmp_path / 'follower.db'}")
    store.create()
    store.close()
    urls = url_of(sqlite_store), url_of(store)
    leader, follower = (tables(application_engine(url)) for url in urls)

    async def work(leading: AsyncEngine, following: AsyncEngine) -> None:
        routing = reading_from(following.sync_engine, leading.sync_engine)
        for write in WRITERS:
            async with AsyncSession(sync_session_class=routing) as session, session.begin():
                await write_through(session, write, sqlite_store)

    run(work, *urls)
    assert counted(leader) == {"event": 2, "outbox": 1, "inbox": 1}
    assert counted(follower) == {"event": 0, "outbox": 0, "inbox": 0}


@EVERY_WRITER
@pytest.mark.parametrize(("database_url", "driver"), DRIVERS, indirect=["database_url"])
def test_autocommit_is_refused_through_each_asynchronous_driver(
    database_url: str, driver: str, write: Write
) -> None:
    store = event_store(database_url)
    store.create()
    engine = tables(application_engine(database_url))

    async def work(by_itself: AsyncEngine) -> None:
        async with AsyncSession(by_itself) as session:

            async def write_and_commit() -> None:
                await write_through(session, write, store)
                await session.commit()

            with pytest.raises(UnsafeStoreError, match="AUTOCOMMIT"):
                await write_and_commit()

    run(work, database_url, driver=driver, isolation_level="AUTOCOMMIT")
    assert counted(engine) == {"event": 0, "outbox": 0, "inbox": 0}
    engine.dispose()
    store.close()


@EVERY_WRITER
def test_a_savepoint_that_would_commit_by_itself_is_refused_through_aiosqlite(
    sqlite_store: SqlAlchemyEventStore, write: Write
) -> None:
    engine = tables(application_engine(url_of(sqlite_store)))

    async def work(through: AsyncEngine) -> None:
        async with AsyncSession(through) as session:

            async def write_in_a_savepoint() -> None:
                async with session.begin_nested():
                    await write_through(session, write, sqlite_store)
                    session.add(Order())

            with pytest.raises(UnsafeStoreError, match="savepoint on this SQLite connection"):
                await write_in_a_savepoint()
            await session.rollback()

    run(work, url_of(sqlite_store))
    assert sum(counted(engine, "orders").values()) == 0


def test_a_savepoint_that_an_async_session_rolls_back_takes_its_events_along(
    sqlite_store: SqlAlchemyEventStore,
) -> None:
    async def work(through: AsyncEngine) -> None:
        let_sqlalchemy_begin(through.sync_engine)
        async with AsyncSession(through) as session, session.begin():
            async with session.begin_nested():
                record(session, NewEvent("Kept", {}))
            undone = await session.begin_nested()
            record(session, NewEvent("Undone", {}))
            await undone.rollback()

    run(work, url_of(sqlite_store))
    stored = sqlite_store.all_stored_events_since(0, 9)
    assert [event.type_name for event in stored] == ["Kept"]
