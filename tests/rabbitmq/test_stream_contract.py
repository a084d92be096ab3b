"""The contract suites that every backend passes, for streams."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pika.exceptions import ChannelClosedByBroker
from pydantic import SecretStr
from typing_extensions import override

from tests.conftest import servers
from tests.rabbitmq.test_contract import (
    NO_PROGRESS_SECONDS,
    PARTITIONS,
    SECRET,
    publishing,
    received,
)
from tests.servers import RabbitMQ
from tidings.plugins import Capability, Notification, NotificationMessage
from tidings.testing import MessageConsumerContract, MessageProducerContract
from tidings_rabbitmq.stream.consumer import RabbitMQStreamConsumer
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.rabbitmq.client import Client
    from tests.servers.given import StreamBroker
    from tidings.plugins import ProducerContext, ReceivedMessage
    from tidings.testing import MakeConsumer, MakeProducer, Publish

NOT_OURS = frozenset({"x-stream-offset", "x-basic-type", "x-basic-app-id"})
"""Headers that RabbitMQ adds, or from 4 on leaves, when it shows a stream to AMQP 0-9-1."""


def settings(
    broker: StreamBroker,
    via: tuple[str, int] | None,
    no_progress_seconds: float = NO_PROGRESS_SECONDS,
) -> RabbitMQStreamSettings:
    """Return settings for the broker, or for what stands before it."""
    address = RabbitMQStreamSettings(url=SecretStr(broker.stream_url)).address
    host, port = via or (address.host, address.port)
    login = f"{address.user}:{address.password.get_secret_value()}"
    return RabbitMQStreamSettings(
        url=SecretStr(f"rabbitmq-stream://{login}@{host}:{port}/"),
        no_progress_timeout=no_progress_seconds,
        connect_timeout=NO_PROGRESS_SECONDS,
        heartbeat=1,
    )


def is_there(client: Client, stream: str) -> bool:
    try:
        client.count(stream)
    except ChannelClosedByBroker:
        client.renew()
        return False
    return True


def read_partitions(client: Client, exchange_name: str) -> list[ReceivedMessage]:
    """Return the ten messages that the suite sends to each partition, as another program does."""
    found = []
    for partition in range(PARTITIONS):
        for seen in client.stream(f"{exchange_name}-{partition}", 10):
            for name in NOT_OURS & seen.properties.headers.keys():
                del seen.properties.headers[name]
            found.append(replace(received(seen), partition=partition))
    return found


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    """Give a broker whose streams take the suite's largest body, which is over the default."""
    with servers(RabbitMQ) as start:
        yield start(stream=True, extra_config="stream.frame_max = 4194304")


class OnRabbitMQ:
    """What the producer's suite and the consumer's are told of the broker."""

    plugin_module, backend = "tidings_rabbitmq.stream.plugin", "rabbitmq-stream"
    has_login = True

    @pytest.fixture
    def server_address(self, rabbitmq: StreamBroker) -> tuple[str, int]:
        address = settings(rabbitmq, None).address
        return address.host, address.port

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return (SECRET,)


class TestRabbitMQStreamProducer(OnRabbitMQ, MessageProducerContract):
    capabilities = frozenset(
        {
            Capability.MOST_RECENT_ACCEPTED,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )
    no_progress_seconds = NO_PROGRESS_SECONDS
    has_undeliverable = True

    @pytest.fixture
    @override
    def make_producer(self, rabbitmq: StreamBroker, context: ProducerContext) -> MakeProducer:
        def make(via: tuple[str, int] | None = None) -> RabbitMQStreamProducer:
            return RabbitMQStreamProducer(settings(rabbitmq, via, self.no_progress_seconds))

        return make

    @pytest.fixture
    @override
    def make_refused_producer(
        self, server_address: tuple[str, int]
    ) -> Callable[[], RabbitMQStreamProducer]:
        host, port = server_address
        url = SecretStr(f"rabbitmq-stream://guest:{SECRET}@{host}:{port}/")
        return lambda: RabbitMQStreamProducer(RabbitMQStreamSettings(url=url))

    @pytest.fixture
    @override
    def read_back(self, client: Client) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        returned: dict[str, int] = {}

        def read(exchange_name: str, count: int) -> list[ReceivedMessage]:
            if not is_there(client, exchange_name):
                return read_partitions(client, exchange_name)
            before = returned.get(exchange_name, 0)
            seen = client.stream(exchange_name, before + count)[before:]
            returned[exchange_name] = before + len(seen)
            for each in seen:
                for name in NOT_OURS & each.properties.headers.keys():
                    del each.properties.headers[name]
            return [received(each) for each in seen]

        return read

    @pytest.fixture
    @override
    def undeliverable(self) -> Notification:
        message = NotificationMessage(b"x" * 5_000_000, "application/json", {})
        return Notification(message, "TooMuch", 5, datetime.fromisoformat("2026-01-02T00:00Z"))

    @pytest.fixture
    @override
    def settings(self) -> Mapping[str, Any]:
        return {"url": "rabbitmq-stream://localhost/"}


class TestRabbitMQStreamConsumer(OnRabbitMQ, MessageConsumerContract):
    capabilities = frozenset({Capability.ROUTING, Capability.PARTITIONS})

    @pytest.fixture
    @override
    def make_consumer(self, rabbitmq: StreamBroker) -> MakeConsumer:
        def make(via: tuple[str, int] | None = None) -> RabbitMQStreamConsumer:
            return RabbitMQStreamConsumer(settings(rabbitmq, via, self.no_progress_seconds), None)

        return make

    @pytest.fixture
    @override
    def make_refused_consumer(
        self, server_address: tuple[str, int]
    ) -> Callable[[], RabbitMQStreamConsumer]:
        host, port = server_address
        url = SecretStr(f"rabbitmq-stream://guest:{SECRET}@{host}:{port}/")
        return lambda: RabbitMQStreamConsumer(RabbitMQStreamSettings(url=url), None)

    @pytest.fixture
    @override
    def make_other_consumer(self, rabbitmq: StreamBroker) -> MakeConsumer:
        return lambda via=None: RabbitMQStreamConsumer(settings(rabbitmq, via), "audit")

    @pytest.fixture
    @override
    def publish(self, rabbitmq: StreamBroker) -> Publish:
        return publishing(lambda: RabbitMQStreamProducer(settings(rabbitmq, None)))

    @pytest.fixture
    @override
    def settings(self) -> Mapping[str, Any]:
        return {"url": "rabbitmq-stream://localhost/"}
