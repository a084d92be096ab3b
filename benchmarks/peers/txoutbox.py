"""txoutbox: its relay on PostgreSQL, and aio-pika with confirms."""
# What is imported is in the peer's environment, not in ours.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aio_pika
import asyncpg
from txoutbox import Hooks, OutboxMessage, Relay, RelayConfig
from txoutbox.adapters.postgres import PostgresStorage

from benchmarks.peers.task import Stopwatch, Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

TOGETHER = 1000
"""Events a round. They are published at the same time, but for those of one key."""


class Drain:
    """Runs the relay until as many events as are stored have been published and marked."""

    def __init__(self, storage: PostgresStorage, exchange: Any) -> None:
        self._exchange = exchange
        self._missing = 0
        self._refused: BaseException | None = None
        self._relay = Relay(
            storage,
            self._publish,
            config=RelayConfig(
                batch_size=TOGETHER, concurrency=TOGETHER, lease=timedelta(seconds=60)
            ),
            hooks=_Rounds(self),
        )

    async def __call__(self, events: int) -> None:
        self._missing = events
        await self._relay.run()
        if self._refused:
            raise self._refused

    def marked(self, published: int) -> None:
        self._missing -= published
        if self._missing <= 0:
            self._relay.stop()

    def refused(self, error: BaseException) -> None:
        self._refused = error
        self._relay.stop()

    async def _publish(self, message: OutboxMessage) -> None:
        persistent = aio_pika.Message(
            message.payload,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(message.id),
            type=message.topic,
        )
        await self._exchange.publish(persistent, routing_key="")


class _Rounds(Hooks):  # type: ignore[misc] # the peer's types are not here
    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    async def on_round(self, result: Any, duration: float) -> None:  # noqa: ARG002 - theirs
        self._drain.marked(result.published)

    async def on_retry(
        self,
        message: OutboxMessage,  # noqa: ARG002 - theirs
        error: BaseException,
        retry_at: datetime,  # noqa: ARG002 - theirs
    ) -> None:
        self._drain.refused(error)


async def store(storage: PostgresStorage, pool: Any, task: Task, numbers: Sequence[int]) -> None:
    """Insert as an application does, with its aggregate as the key."""
    body = {"text": task.text(len('{"text":""}'))}
    async with pool.acquire() as connection, connection.transaction():
        for number in numbers:
            await storage.insert(connection, "OrderPlaced", body, key=f"order-{number // 3}")
    await pool.execute("VACUUM ANALYZE")


async def main(task: Task) -> None:
    """Store and carry the first events, then start the clock and carry the rest."""
    pool = await asyncpg.create_pool(task.database_url)
    storage = PostgresStorage(pool, delete_on_ack=True)
    await storage.create_schema()
    connection = await aio_pika.connect(task.broker_url)
    channel = await connection.channel(publisher_confirms=True)
    drain = Drain(storage, await channel.get_exchange(task.destination, ensure=False))
    await store(storage, pool, task, range(task.warm_up))
    await drain(task.warm_up)
    await store(storage, pool, task, range(task.events))
    watch = Stopwatch()
    await drain(task.events)
    watch.report(task.events)
    await connection.close()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(Task.given()))
