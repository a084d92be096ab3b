"""The asynchronous drivers that applications record, and consume, through."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from tests.sql.databases import application_engine, event_store
from tidings.event import NewEvent
from tidings.sql import Inbox, record

if TYPE_CHECKING:
    from tidings.event import StoredEvent

DRIVERS = [
    ("sqlite", "aiosqlite"),
    ("postgresql", "asyncpg"),
    ("postgresql", "psycopg"),
    ("mariadb", "aiomysql"),
]
if find_spec("asyncmy"):
    DRIVERS.append(("mariadb", "asyncmy"))
TYPE, KEY, MESSAGE = "Größe\\'\"", "Ω 😀 %s", "é 😀 1"


async def record_and_handle(url: str) -> list[bool]:
    engine = create_async_engine(url)
    try:
        async with AsyncSession(engine) as session:
            record(session, NewEvent(TYPE, {"name": KEY}, aggregate_id=KEY), metadata={"by": KEY})
            await session.commit()
        inbox = Inbox("billing", "shop")
        handled = []
        for _ in range(2):
            async with AsyncSession(engine) as session, session.begin():
                handled.append(await session.run_sync(inbox.record, MESSAGE))
        return handled
    finally:
        await engine.dispose()


@pytest.mark.parametrize(("database_url", "driver"), DRIVERS, indirect=["database_url"])
def test_events_and_handled_messages_are_stored_through_each_driver(
    database_url: str, driver: str
) -> None:
    url = make_url(database_url)
    store = event_store(database_url)
    store.create()
    plain = application_engine(database_url)
    Inbox.create(plain)
    through = url.set(drivername=f"{url.get_backend_name()}+{driver}")

    handled = asyncio.run(record_and_handle(through.render_as_string(hide_password=False)))

    stored: StoredEvent
    (stored,) = store.all_stored_events_since(0, 9)
    assert (stored.type_name, stored.aggregate_id) == (TYPE, KEY)
    assert stored.body == f'{{"name":"{KEY}"}}'
    assert stored.metadata == f'{{"by":"{KEY}"}}'
    assert handled == [True, False]
    with plain.begin() as connection:  # the consumer may be moved to a plain driver
        assert not Inbox("billing", "shop").record(connection, MESSAGE)
    plain.dispose()
    store.close()
