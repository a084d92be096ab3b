"""faststream-outbox: its subscriber on PostgreSQL, and FastStream's RabbitMQ publisher."""
# What is imported is in the peer's environment, not in ours.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange
from faststream_outbox import OutboxBroker, make_outbox_table, outbox_autovacuum_ddl
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.peers.task import Stopwatch, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncEngine

QUEUE = "orders"
WORKERS = 64
"""Each waits for the confirm of one message at a time, and holds a database connection."""
FETCHED = 1000
DELETED = 100
ADDED = 1000
FAILURES = ("nacked_retried", "nacked_terminal", "dispatch_abandoned", "lease_lost")


class Counter:
    """Is told what became of every event, and lets somebody wait for a number of them."""

    def __init__(self) -> None:
        self._missing = 0
        self._all: asyncio.Future[None] = asyncio.Future()

    def expect(self, events: int) -> None:
        self._missing = events
        self._all = asyncio.Future()

    def __call__(self, event: str, tags: Mapping[str, Any]) -> None:
        if event == "acked":  # published and confirmed, and its row is gone
            self._missing -= 1
        if self._all.done():
            return
        if event in FAILURES:
            self._all.set_exception(RuntimeError(f"An event was {event}: {dict(tags)}"))
        elif not self._missing:
            self._all.set_result(None)

    async def wait(self) -> None:
        await self._all


async def store(outbox: OutboxBroker, engine: AsyncEngine, task: Task, events: int) -> None:
    """Publish as an application does."""
    body = {"text": task.text(len('{"text":""}'))}
    for start in range(0, events, ADDED):
        bodies = [body] * min(ADDED, events - start)
        async with engine.begin() as connection:
            await outbox.publish_batch(*bodies, queue=QUEUE, session=connection)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


async def main(task: Task) -> None:
    """Store and carry the first events, then start the clock and carry the rest."""
    url = task.database_url.replace("postgresql", "postgresql+asyncpg")
    engine = create_async_engine(url, pool_size=WORKERS + 4)
    metadata = MetaData()
    table = make_outbox_table(metadata, table_name="outbox")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(text(outbox_autovacuum_ddl("outbox")))

    counter = Counter()
    outbox = OutboxBroker(
        engine, outbox_table=table, metrics_recorder=counter, logger=None, apply_types=False
    )
    rabbit = RabbitBroker(task.broker_url, logger=None)
    exchange = RabbitExchange(task.destination, type=ExchangeType.FANOUT, durable=True)

    @rabbit.publisher(exchange=exchange, persist=True)  # type: ignore[untyped-decorator] # theirs
    @outbox.subscriber(  # type: ignore[untyped-decorator] # theirs
        QUEUE,
        max_workers=WORKERS,
        fetch_batch_size=FETCHED,
        terminal_flush_batch_size=DELETED,
    )
    async def relay(body: dict[str, str]) -> dict[str, str]:
        return body

    await rabbit.connect()
    await store(outbox, engine, task, task.warm_up)
    counter.expect(task.warm_up)
    await outbox.start()
    await counter.wait()
    await outbox.stop()
    await store(outbox, engine, task, task.events)
    counter.expect(task.events)
    watch = Stopwatch()
    await outbox.start()
    await counter.wait()
    watch.report(task.events)
    await outbox.stop()
    await rabbit.stop()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(Task.given()))
