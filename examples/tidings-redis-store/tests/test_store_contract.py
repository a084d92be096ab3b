"""The suites that every event store and tracker must pass, on a real Redis."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import pytest
import redis
from pydantic import SecretStr

from tidings.plugins import Capability, EventStoreError, NewEvent
from tidings.testing import (
    EventStoreContract,
    MakeStore,
    MakeTracker,
    PublishedMessageTrackerContract,
)
from tidings_redis_store.event_store import RedisEventStore, RedisTransaction
from tidings_redis_store.settings import RedisStoreSettings
from tidings_redis_store.tracker import RedisTracker

PASSWORD = "not-for-everybody"
START_SECONDS = 30
Address = tuple[str, int]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def redis_address() -> Iterator[Address]:
    """Give the host and port of a Redis of our own, which keeps nothing and ends with the tests."""
    command = shutil.which("redis-server")
    if command is None:
        missing = "redis-server is not installed: install your distribution's Redis server."
        if os.environ.get("TIDINGS_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [
                *(command, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
                *("--save", "", "--appendonly", "no", "--requirepass", PASSWORD),
            ],
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            wait_until_ready(process, port)
            yield "127.0.0.1", port
        finally:
            process.terminate()


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis(port=port, password=PASSWORD) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline, "redis-server does not get ready"
                time.sleep(0.02)
            else:
                return


@pytest.fixture
def client(redis_address: Address) -> Iterator[redis.Redis]:
    """Give the library's own client: what it writes has not gone through our code."""
    host, port = redis_address
    with redis.Redis(host, port, password=PASSWORD, protocol=2) as client:
        yield client


numbers = itertools.count(1)


class OnRedis:
    """What both suites need to know."""

    plugin_module, backend = "tidings_redis_store.plugin", "redis-store"

    @pytest.fixture
    def server_address(self, redis_address: Address) -> Address:
        return redis_address

    @pytest.fixture
    def settings(self, redis_address: Address) -> Mapping[str, Any]:
        host, port = redis_address
        # A prefix of its own is an empty store of its own for each test.
        return {"url": f"redis://:{PASSWORD}@{host}:{port}/0", "prefix": f"test-{next(numbers)}"}

    @pytest.fixture
    def settings_at(
        self, settings: Mapping[str, Any]
    ) -> Callable[[Address | None], RedisStoreSettings]:
        def at(via: Address | None) -> RedisStoreSettings:
            made = RedisStoreSettings(**settings)
            if via is None:
                return made
            url = SecretStr(f"redis://:{PASSWORD}@{via[0]}:{via[1]}/0")
            return made.model_copy(update={"url": url})

        return at

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return [PASSWORD]


class TestRedisEventStore(OnRedis, EventStoreContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.PRUNE})
    ids_at_commit = True

    @pytest.fixture
    def make_store(self, settings_at: Callable[[Address | None], RedisStoreSettings]) -> MakeStore:
        return lambda via=None: RedisEventStore(settings_at(via))

    @pytest.fixture
    def spoil(self, client: redis.Redis, settings: Mapping[str, Any]) -> Callable[[int], None]:
        key = f"{settings['prefix']}:events"
        record = json.dumps({"type_name": "Numbered", "occurred_on": "yesterday"})

        def spoil(event_id: int) -> None:
            client.hset(key, str(event_id), record)

        return spoil

    @pytest.fixture
    def replace(self, client: redis.Redis, settings: Mapping[str, Any]) -> Callable[[], None]:
        def replace() -> None:
            client.delete(*client.keys(f"{settings['prefix']}:*"))
            RedisEventStore(RedisStoreSettings(**settings)).create()

        return replace


class TestRedisTracker(OnRedis, PublishedMessageTrackerContract):
    @pytest.fixture
    def make_tracker(
        self, settings_at: Callable[[Address | None], RedisStoreSettings]
    ) -> MakeTracker:
        return lambda via=None: RedisTracker(settings_at(via))


class TestBesideTheSuites(OnRedis):
    """What is particular to Redis."""

    @pytest.fixture
    def store(
        self, settings_at: Callable[[Address | None], RedisStoreSettings]
    ) -> Iterator[RedisEventStore]:
        store = RedisEventStore(settings_at(None))
        store.create()
        yield store
        store.close()

    def test_an_order_and_its_event_are_stored_together_or_not_at_all(
        self, store: RedisEventStore, client: redis.Redis, settings: Mapping[str, Any]
    ) -> None:
        order = f"{settings['prefix']}:order-1"
        with suppress(ZeroDivisionError), store.transaction() as transaction:
            place(store, transaction, order)
            1 / 0  # noqa: B018 - what goes wrong in an application
        assert (client.exists(order), store.newest_event_id()) == (0, None)

        with store.transaction() as transaction:
            place(store, transaction, order)

        assert (client.hget(order, "total"), store.newest_event_id()) == (b"3", 1)

    def test_a_redis_that_lost_its_newest_events_stops_the_relay(
        self, store: RedisEventStore, client: redis.Redis, settings: Mapping[str, Any]
    ) -> None:
        with store.transaction() as transaction:
            store.append(transaction, NewEvent("OrderPlaced", {}), NewEvent("OrderPaid", {}))
        store.check()
        client.hset(f"{settings['prefix']}:store", "newest", 1)

        with pytest.raises(EventStoreError, match="an older state of it"):
            store.watch()


def place(store: RedisEventStore, transaction: RedisTransaction, order: str) -> None:
    transaction.pipeline.hset(order, "total", 3)
    store.append(transaction, NewEvent("OrderPlaced", {"total": 3}, aggregate_id="order-1"))
