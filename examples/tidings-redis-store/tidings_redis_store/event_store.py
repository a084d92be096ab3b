"""Events in Redis: their ids in a sorted set, their records in a hash.

Ids are drawn by the script that commits, and Redis runs one script at a time. So an event with a
lower id never appears later, and there is nothing to hold for.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import redis

from tidings.plugins import (
    Capability,
    EventStore,
    EventStoreError,
    Hold,
    NewEvent,
    StoredEvent,
    UnreadableEventError,
)
from tidings_redis_store.connection import connect
from tidings_redis_store.failures import NOT_READY, failures_of, not_ready
from tidings_redis_store.record import event_of, record_of
from tidings_redis_store.settings import RedisStoreSettings

PAGE = 100
PAGE_BYTES = 4_000_000

COMMIT = f"""
if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('{NOT_READY}') end
for _, record in ipairs(ARGV) do
    local id = redis.call('HINCRBY', KEYS[1], 'newest', 1)
    redis.call('ZADD', KEYS[2], id, id)
    redis.call('HSET', KEYS[3], id, record)
end
"""

READ = """
local found, size = {}, 0
local ids = redis.call('ZRANGE', KEYS[1], '(' .. ARGV[1], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
    size = size + redis.call('HSTRLEN', KEYS[2], id)
    if #found > 0 and size > tonumber(ARGV[3]) then break end
    table.insert(found, {id, redis.call('HGET', KEYS[2], id)})
end
return found
"""


class RedisTransaction:
    """What is committed together: events, and the application's own commands in ``pipeline``."""

    def __init__(self, client: redis.Redis) -> None:
        self.pipeline = client.pipeline(transaction=True)
        self.records: list[str] = []


class RedisEventStore(EventStore):
    """Events under ``{prefix}:store``, ``:ids`` and ``:events``."""

    capabilities = frozenset({Capability.PRUNE})

    def __init__(self, settings: RedisStoreSettings) -> None:
        self._settings = settings
        self._client = connect(settings)
        self._store, self._ids, self._events = (
            f"{settings.prefix}:{name}" for name in ("store", "ids", "events")
        )
        self._known = ("", 0)

    def append(self, connection: Any, *events: NewEvent) -> None:
        """Add events to a transaction that :meth:`transaction` gave."""
        if not isinstance(connection, RedisTransaction):
            raise TypeError(
                "This event store appends in its own transactions: `with store.transaction() as "
                f"transaction: store.append(transaction, event)`, not with {connection!r}."
            )
        connection.records += [record_of(event) for event in events]

    @contextmanager
    def transaction(self) -> Iterator[RedisTransaction]:
        """Begin a transaction: everything in it is done at its end, or nothing is."""
        transaction = RedisTransaction(self._client)
        yield transaction
        with failures_of(self._settings):
            if not self._client.exists(self._store):
                raise not_ready(self._settings)
            if transaction.records:
                keys = (self._store, self._ids, self._events)
                transaction.pipeline.eval(COMMIT, len(keys), *keys, *transaction.records)
            transaction.pipeline.execute()

    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """Return the next events: up to ``limit``, or about 4 MB of them."""
        events: list[StoredEvent] = []
        size = 0
        while len(events) < limit and size < PAGE_BYTES:
            last = events[-1].event_id if events else event_id
            page = self._page(last, min(PAGE, limit - len(events)))
            for each, record in page:
                try:
                    events.append(event_of(each, record))
                except UnreadableEventError:
                    if events:
                        return events
                    raise
                size += len(record or "")
            if not page:
                break
        return events

    def stored_event(self, event_id: int) -> StoredEvent | None:
        """Return the event of that id."""
        with failures_of(self._settings):
            self._check_ready()
            record: Any = self._client.hget(self._events, str(event_id))
        return None if record is None else event_of(event_id, record)

    def newest_event_id(self) -> int | None:
        """Return the greatest id."""
        with failures_of(self._settings):
            self._check_ready()
            newest: Any = self._client.zrange(self._ids, -1, -1)
        return int(newest[0]) if newest else None

    def count_stored_events_since(self, event_id: int) -> int:
        """Return how many ids are greater."""
        with failures_of(self._settings):
            self._check_ready()
            count: Any = self._client.zcount(self._ids, f"({event_id}", "+inf")
        return int(count)

    def hold(self) -> Hold | None:
        """Nothing ever holds a reader here."""
        return None

    def prune(
        self,
        up_to: int,
        *,
        keep: int = 1,
        occurred_before: datetime | None = None,
        dry_run: bool = False,
    ) -> int:
        """Delete page by page, so that no writer waits for long."""
        with failures_of(self._settings):
            self._check_ready()
            kept: Any = self._client.zrange(self._ids, -max(keep, 1), -max(keep, 1))
        if not kept:
            return 0
        count = last = 0
        while page := [each for each in self._page(last, PAGE) if each[0] <= up_to]:
            last = page[-1][0]
            gone = [
                each
                for each, record in page
                if each < int(kept[0]) and _occurred_before(each, record, occurred_before)
            ]
            count += len(gone)
            if gone and not dry_run:
                self._delete(gone)
        return count

    def identity(self) -> str:
        """Return what `create` has made once."""
        with failures_of(self._settings):
            identity: Any = self._client.hget(self._store, "identity")
        return str(identity or "")

    def create(self) -> None:
        """Give the store its identity, unless it has one."""
        with failures_of(self._settings):
            self._client.hsetnx(self._store, "identity", uuid.uuid4().hex)

    def check(self) -> None:
        """See that the store was made, and remember which one it is."""
        with failures_of(self._settings):
            self._check_ready()
            self._known = self._look()

    def watch(self) -> None:
        """See that it is still that store, and that none of its ids was taken back."""
        with failures_of(self._settings):
            identity, newest = self._look()
        if self._known != ("", 0) and (identity != self._known[0] or newest < self._known[1]):
            raise EventStoreError(
                f"Redis at {self._settings.address} holds another event store than before, or an "
                "older state of it. Restart the relay if that is meant."
            )

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _page(self, event_id: int, count: int) -> list[tuple[int, str | None]]:
        """Return ids after ``event_id`` with their records: one, or as many as 4 MB hold."""
        with failures_of(self._settings):
            self._check_ready()
            found: Any = self._client.eval(
                READ, 2, self._ids, self._events, str(event_id), str(count), str(PAGE_BYTES)
            )
        return [(int(each), record) for each, record in found]

    def _delete(self, ids: Sequence[int]) -> None:
        with failures_of(self._settings), self._client.pipeline(transaction=True) as pipeline:
            pipeline.zrem(self._ids, *ids)
            pipeline.hdel(self._events, *map(str, ids))
            pipeline.execute()

    def _look(self) -> tuple[str, int]:
        found: Any = self._client.hmget(self._store, ["identity", "newest"])
        return str(found[0] or ""), int(found[1] or 0)

    def _check_ready(self) -> None:
        if not self._client.exists(self._store):
            raise not_ready(self._settings)


def _occurred_before(event_id: int, record: str | None, time: datetime | None) -> bool:
    if time is None:
        return True
    try:
        return event_of(event_id, record).occurred_on < time
    except UnreadableEventError:
        return False
