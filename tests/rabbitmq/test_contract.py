"""The contract suites that every backend passes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pika.exceptions import ChannelClosedByBroker
from pydantic import SecretStr
from sqlalchemy import make_url
from typing_extensions import override

from tidings.plugins import Capability, Notification, NotificationMessage, ReceivedMessage
from tidings.testing import MessageConsumerContract, MessageProducerContract
from tidings.testing.waiting import until
from tidings_rabbitmq.consumer import RabbitMQConsumer
from tidings_rabbitmq.producer import RabbitMQProducer
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.rabbitmq.client import Client, Seen
    from tests.servers.given import StreamBroker
    from tidings.plugins import MessageProducer, ProducerContext
    from tidings.testing import MakeConsumer, MakeProducer, Publish

PASSWORD = "guest"
SECRET = "a-s3cr3t-of-the-contract"
READ_SECONDS = 10.0
NO_PROGRESS_SECONDS = 2.0
PARTITIONS = 4


def settings(
    broker: StreamBroker,
    via: tuple[str, int] | None,
    no_progress_seconds: float = NO_PROGRESS_SECONDS,
    **values: Any,
) -> RabbitMQSettings:
    """Return settings for the broker, or for what stands before it."""
    url = make_url(broker.url)
    if via is not None:
        url = url.set(host=via[0], port=via[1])
    return RabbitMQSettings(
        url=SecretStr(url.render_as_string(hide_password=False)),
        no_progress_timeout=no_progress_seconds,
        connect_timeout=NO_PROGRESS_SECONDS,
        # Setting a policy takes its time, and nobody steps the producer meanwhile. Behind the
        # proxy it is the heartbeat that tells the broker of a peer that fell silent.
        heartbeat=0 if via is None else 1,
        **values,
    )


def received(seen: Seen) -> ReceivedMessage:
    """Translate what pika's own client read."""
    headers = dict(seen.properties.headers)
    partition = headers.pop("partition", None)
    occurred_on = datetime.fromisoformat(headers.pop("occurred_on"))
    return ReceivedMessage(
        message_id=seen.properties.message_id,
        type_name=seen.properties.type,
        occurred_on=occurred_on,
        body=seen.body,
        content_type=seen.properties.content_type,
        headers=headers,
        routing_key=seen.routing.routing_key,
        partition=partition and int(partition),
    )


def queues_of(client: Client, exchange_name: str) -> list[str]:
    """Return the exchange's queue, or those of its partitions."""
    try:
        client.count(exchange_name)
    except ChannelClosedByBroker:
        client.renew()
        return [f"{exchange_name}.{partition}" for partition in range(PARTITIONS)]
    return [exchange_name]


def publishing(make_producer: Callable[[], MessageProducer]) -> Publish:
    """Return what publishes through a producer of ours, in partitions if the messages have one."""

    def publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
        producer = make_producer()
        is_parted = any(each.message.partition is not None for each in notifications)
        try:
            producer.open(exchange_name, partitions=PARTITIONS if is_parted else 0)
            for notification in notifications:
                producer.send(exchange_name, *notification)
            producer.flush(exchange_name)
        finally:
            producer.close(exchange_name)

    return publish


class OnRabbitMQ:
    """What the producer's suite and the consumer's are told of the broker."""

    plugin_module, backend = "tidings_rabbitmq.plugin", "rabbitmq"
    has_login = True

    @pytest.fixture
    def server_address(self, rabbitmq: StreamBroker) -> tuple[str, int]:
        url = make_url(rabbitmq.url)
        return url.host or "", url.port or 5672

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return (SECRET,)


class TestRabbitMQProducer(OnRabbitMQ, MessageProducerContract):
    capabilities = frozenset(
        {
            Capability.LOCK,
            Capability.UNROUTABLE,
            Capability.OUT_OF_ORDER,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )
    no_progress_seconds = NO_PROGRESS_SECONDS
    has_undeliverable = True
    can_reject = True
    options: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it

    @pytest.fixture
    @override
    def make_producer(self, rabbitmq: StreamBroker, context: ProducerContext) -> MakeProducer:
        def make(via: tuple[str, int] | None = None) -> RabbitMQProducer:
            return RabbitMQProducer(
                settings(rabbitmq, via, self.no_progress_seconds, **self.options)
            )

        return make

    @pytest.fixture
    @override
    def make_refused_producer(self, rabbitmq: StreamBroker) -> Callable[[], RabbitMQProducer]:
        url = make_url(rabbitmq.url).set(password=SECRET)

        def make() -> RabbitMQProducer:
            return RabbitMQProducer(
                RabbitMQSettings(url=SecretStr(url.render_as_string(hide_password=False)))
            )

        return make

    @pytest.fixture
    @override
    def read_back(self, client: Client) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        def read(exchange_name: str, count: int) -> list[ReceivedMessage]:
            queues = queues_of(client, exchange_name)
            until(lambda: sum(map(client.count, queues)) >= count, READ_SECONDS)
            return [received(seen) for queue in queues for seen in client.drain(queue)]

        return read

    @pytest.fixture
    @override
    def unbind(self, client: Client) -> Callable[[str], None]:
        def unbind(exchange_name: str) -> None:
            client.channel.queue_unbind(exchange_name, exchange_name)

        return unbind

    @pytest.fixture
    @override
    def reject(self, rabbitmq: StreamBroker, client: Client) -> Iterator[Callable[[str], None]]:
        policies: list[str] = []

        def reject(exchange_name: str) -> None:
            policies.append(exchange_name)
            full = {"max-length": client.count(exchange_name), "overflow": "reject-publish"}
            rabbitmq.ctl("set_policy", exchange_name, f"^{exchange_name}$", json.dumps(full))

        yield reject
        for policy in policies:
            rabbitmq.ctl("clear_policy", policy)

    @pytest.fixture
    @override
    def undeliverable(self) -> Notification:
        headers = {"metadata": "x" * 200_000}
        message = NotificationMessage(b"{}", "application/json", headers)
        return Notification(message, "TooMuch", 5, datetime.fromisoformat("2026-01-02T00:00Z"))

    @pytest.fixture
    @override
    def settings(self) -> Mapping[str, Any]:
        return {"url": "amqp://localhost/"} | self.options


class TestRabbitMQProducerWithTail(TestRabbitMQProducer):
    capabilities = frozenset(
        {
            Capability.LOCK,
            Capability.MOST_RECENT_ACCEPTED,
            Capability.OUT_OF_ORDER,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )
    options: dict[str, Any] = {"resume": "tail"}  # noqa: RUF012 - nobody writes to it


class TestRabbitMQTopicProducerWithTail(TestRabbitMQProducerWithTail):
    options: dict[str, Any] = {  # noqa: RUF012 - nobody writes to it
        "resume": "tail",
        "exchange_type": "topic",
    }


class TestRabbitMQConsumer(OnRabbitMQ, MessageConsumerContract):
    capabilities = frozenset({Capability.PARTITIONS})
    options: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it

    @pytest.fixture
    @override
    def make_consumer(self, rabbitmq: StreamBroker) -> MakeConsumer:
        def make(via: tuple[str, int] | None = None) -> RabbitMQConsumer:
            seconds = self.no_progress_seconds
            return RabbitMQConsumer(settings(rabbitmq, via, seconds, **self.options), None)

        return make

    @pytest.fixture
    @override
    def make_refused_consumer(self, rabbitmq: StreamBroker) -> Callable[[], RabbitMQConsumer]:
        url = make_url(rabbitmq.url).set(password=SECRET).render_as_string(hide_password=False)
        return lambda: RabbitMQConsumer(RabbitMQSettings(url=SecretStr(url)), None)

    @pytest.fixture
    @override
    def make_other_consumer(self, rabbitmq: StreamBroker) -> MakeConsumer:
        return lambda via=None: RabbitMQConsumer(settings(rabbitmq, via, **self.options), "audit")

    @pytest.fixture
    @override
    def publish(self, rabbitmq: StreamBroker) -> Publish:
        return publishing(lambda: RabbitMQProducer(settings(rabbitmq, None, **self.options)))

    @pytest.fixture
    @override
    def settings(self) -> Mapping[str, Any]:
        return {"url": "amqp://localhost/"}


class TestRabbitMQTopicConsumer(TestRabbitMQConsumer):
    capabilities = frozenset({Capability.ROUTING, Capability.PARTITIONS})
    options: dict[str, Any] = {"exchange_type": "topic"}  # noqa: RUF012 - nobody writes to it
