"""The contract suites that every backend passes, for streams."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tests.conftest import servers
from tests.rabbitmq.test_contract import NO_PROGRESS_SECONDS, SECRET, received
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

NOT_OURS = frozenset({"x-stream-offset"})
"""Headers that RabbitMQ adds when it shows a stream to an AMQP 0-9-1 client."""


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


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    """Give a broker whose streams take the suite's largest body, which is over the default."""
    with servers(RabbitMQ) as start:
        yield start(stream=True, extra_config="stream.frame_max = 4194304")


class TestRabbitMQStreamProducer(MessageProducerContract):
    capabilities = frozenset({Capability.MOST_RECENT_ACCEPTED_ID})
    no_progress_seconds = NO_PROGRESS_SECONDS
    has_undeliverable = True
    has_login = True
    plugin_module, backend = "tidings_rabbitmq.stream.plugin", "rabbitmq-stream"

    @pytest.fixture
    def server_address(self, rabbitmq: StreamBroker) -> tuple[str, int]:
        address = settings(rabbitmq, None).address
        return address.host, address.port

    @pytest.fixture
    def make_producer(self, rabbitmq: StreamBroker, context: ProducerContext) -> MakeProducer:
        def make(via: tuple[str, int] | None = None) -> RabbitMQStreamProducer:
            return RabbitMQStreamProducer(settings(rabbitmq, via, self.no_progress_seconds))

        return make

    @pytest.fixture
    def make_refused_producer(
        self, server_address: tuple[str, int]
    ) -> Callable[[], RabbitMQStreamProducer]:
        host, port = server_address
        url = SecretStr(f"rabbitmq-stream://guest:{SECRET}@{host}:{port}/")
        return lambda: RabbitMQStreamProducer(RabbitMQStreamSettings(url=url))

    @pytest.fixture
    def read_back(self, client: Client) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        returned: dict[str, int] = {}

        def read(exchange_name: str, count: int) -> list[ReceivedMessage]:
            before = returned.get(exchange_name, 0)
            seen = client.stream(exchange_name, before + count)[before:]
            returned[exchange_name] = before + len(seen)
            for each in seen:
                for name in NOT_OURS & each.properties.headers.keys():
                    del each.properties.headers[name]
            return [received(each) for each in seen]

        return read

    @pytest.fixture
    def undeliverable(self) -> Notification:
        message = NotificationMessage(b"x" * 5_000_000, "application/json", {})
        return Notification(message, "TooMuch", 5, datetime.fromisoformat("2026-01-02T00:00Z"))

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return (SECRET,)

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        return {"url": "rabbitmq-stream://localhost/"}


class TestRabbitMQStreamConsumer(MessageConsumerContract):
    plugin_module, backend = "tidings_rabbitmq.stream.plugin", "rabbitmq-stream"

    @pytest.fixture
    def server_address(self, rabbitmq: StreamBroker) -> tuple[str, int]:
        address = settings(rabbitmq, None).address
        return address.host, address.port

    @pytest.fixture
    def make_consumer(self, rabbitmq: StreamBroker) -> MakeConsumer:
        def make(via: tuple[str, int] | None = None) -> RabbitMQStreamConsumer:
            return RabbitMQStreamConsumer(settings(rabbitmq, via), None)

        return make

    @pytest.fixture
    def publish(self, rabbitmq: StreamBroker) -> Publish:
        def publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            producer = RabbitMQStreamProducer(settings(rabbitmq, None))
            try:
                producer.open(exchange_name)
                for notification in notifications:
                    producer.send(exchange_name, *notification)
                producer.flush(exchange_name)
            finally:
                producer.close(exchange_name)

        return publish

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        return {"url": "rabbitmq-stream://localhost/"}
