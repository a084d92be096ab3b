"""The inbox from asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from tests.sql.test_recording_async import DRIVERS
from tidings import Inbox

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'inbox.db'}"
    new = make_url(request.getfixturevalue("postgresql").new_database())
    return new.set(drivername=DRIVERS["postgresql"]).render_as_string(hide_password=False)


def test_an_async_session_records_with_run_sync(url: str) -> None:
    inbox = Inbox("billing", "orders")

    async def work() -> list[bool]:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(Inbox.create)
        new = []
        for commits in [False, True, True]:
            async with AsyncSession(engine) as session:
                new.append(await session.run_sync(inbox.record, "7"))
                await (session.commit() if commits else session.rollback())
        with pytest.raises(TypeError, match=r"await session\.run_sync\(inbox\.record"):
            inbox.record(AsyncSession(engine), "8")  # type: ignore[arg-type]  # what is tested
        with pytest.raises(TypeError, match=r"await connection\.run_sync"):
            Inbox.create(engine)  # type: ignore[arg-type]  # what is tested
        await engine.dispose()
        return new

    assert asyncio.run(work()) == [True, True, False]
