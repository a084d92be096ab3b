"""The suites that every backend must pass, on a real Redis."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
import redis

from tidings.plugins import (
    Capability,
    MessageConsumer,
    MessageProducer,
    Notification,
    NotificationMessage,
    ReceivedMessage,
)
from tidings.testing import (
    MakeConsumer,
    MakeProducer,
    MessageConsumerContract,
    MessageProducerContract,
    Publish,
)
from tidings_redis.consumer import RedisConsumer
from tidings_redis.open_exchange import OWN_FIELDS
from tidings_redis.producer import RedisProducer
from tidings_redis.settings import RedisSettings

PASSWORD, WRONG = "not-for-everybody", "wrong-password"


class OnRedis:
    """What both suites need to know."""

    plugin_module, backend = "tidings_redis.plugin", "redis"
    no_progress_seconds: ClassVar[float] = 2

    @pytest.fixture
    def server_address(self, redis_address: tuple[str, int]) -> tuple[str, int]:
        return redis_address

    @pytest.fixture
    def settings(self, url: str) -> Mapping[str, Any]:
        return {"url": url, "timeout": self.no_progress_seconds}

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return [PASSWORD, WRONG]


class TestRedisProducer(OnRedis, MessageProducerContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.MOST_RECENT_ACCEPTED, Capability.ROUTING}
    )
    has_login = True
    has_undeliverable = True
    can_reject = True

    @pytest.fixture
    def make_producer(self, settings: Mapping[str, Any]) -> MakeProducer:
        def make(via: tuple[str, int] | None = None) -> MessageProducer:
            url = passing(settings["url"], via)
            return RedisProducer(RedisSettings(**{**settings, "url": url}))

        return make

    @pytest.fixture
    def read_back(self, client: redis.Redis) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        last: dict[str, bytes] = {}

        def read(exchange_name: str, count: int) -> Sequence[ReceivedMessage]:
            start = last.get(exchange_name)
            first = f"({start.decode()}" if start else "-"
            entries: Any = client.xrange(exchange_name, min=first, count=count)
            if entries:
                last[exchange_name] = entries[-1][0]
            return [received(fields) for _, fields in entries]

        return read

    @pytest.fixture
    def subscribe(self, client: redis.Redis) -> Callable[[str], None]:
        def subscribe(exchange_name: str) -> None:
            client.xgroup_create(exchange_name, "app", id="0", mkstream=True)

        return subscribe

    @pytest.fixture
    def make_refused_producer(self, settings: Mapping[str, Any]) -> Callable[[], MessageProducer]:
        refused = {**settings, "url": settings["url"].replace(PASSWORD, WRONG)}
        return lambda: RedisProducer(RedisSettings(**refused))

    @pytest.fixture
    def reject(self, client: redis.Redis) -> Iterator[Callable[[str], None]]:
        def fill(_exchange_name: str) -> None:
            client.config_set("maxmemory", 1)

        yield fill
        client.config_set("maxmemory", 0)

    @pytest.fixture
    def undeliverable(self) -> Notification:
        message = NotificationMessage(b"{}", "application/json", {"body": "a second one"})
        return Notification(message, "OrderPlaced", 1, datetime(2026, 1, 2, tzinfo=UTC))


class TestRedisConsumer(OnRedis, MessageConsumerContract):
    has_login = True

    @pytest.fixture
    def make_consumer(self, settings: Mapping[str, Any]) -> MakeConsumer:
        def make(via: tuple[str, int] | None = None) -> MessageConsumer:
            url = passing(settings["url"], via)
            return RedisConsumer(RedisSettings(**{**settings, "url": url}), "app")

        return make

    @pytest.fixture
    def make_refused_consumer(self, settings: Mapping[str, Any]) -> Callable[[], MessageConsumer]:
        refused = {**settings, "url": settings["url"].replace(PASSWORD, WRONG)}
        return lambda: RedisConsumer(RedisSettings(**refused), "app")

    @pytest.fixture
    def make_other_consumer(self, settings: Mapping[str, Any]) -> MakeConsumer:
        return lambda via=None: RedisConsumer(RedisSettings(**settings), "audit")

    @pytest.fixture
    def publish(self, settings: Mapping[str, Any]) -> Publish:
        def publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            producer = RedisProducer(RedisSettings(**settings))
            exchange = producer.open(exchange_name)
            exchange.send(notifications)
            exchange.flush()
            producer.close(exchange_name)

        return publish


def passing(url: str, via: tuple[str, int] | None) -> str:
    """Return the URL with another host and port, if they are given."""
    if via is None:
        return url
    return f"redis://:{PASSWORD}@{via[0]}:{via[1]}/0"


def received(fields: Mapping[bytes, bytes]) -> ReceivedMessage:
    texts = {name.decode(): text.decode() for name, text in fields.items() if name != b"body"}
    return ReceivedMessage(
        texts["message_id"],
        texts["type"],
        datetime.fromisoformat(texts["occurred_on"]),
        fields[b"body"],
        texts["content_type"],
        {name: text for name, text in texts.items() if name not in OWN_FIELDS},
        routing_key=texts.get("routing_key", ""),
    )
