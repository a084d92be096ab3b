"""What our own consumer gives back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pika
import pytest
from pydantic import SecretStr

from tidings.plugins import BrokerUnavailableError, NotificationMessage
from tidings.testing.samples import send_all
from tidings_rabbitmq.consumer import RabbitMQConsumer
from tidings_rabbitmq.given_back import MANY
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.rabbitmq.client import Client
    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings.testing.proxy import TcpProxy
    from tidings_rabbitmq.producer import RabbitMQProducer

    MakeConsumer = Callable[..., RabbitMQConsumer]


@pytest.fixture
def make_consumer(rabbitmq: StreamBroker) -> Iterator[MakeConsumer]:
    made: list[RabbitMQConsumer] = []

    def make(
        subscriber: str | None = None, url: str = rabbitmq.url, prefetch: int = 10, **others: Any
    ) -> RabbitMQConsumer:
        settings = RabbitMQSettings(url=SecretStr(url), prefetch=prefetch, **others)
        made.append(RabbitMQConsumer(settings, subscriber))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


def receive_ids(consumer: RabbitMQConsumer, count: int) -> list[int]:
    """Receive and acknowledge so many messages."""
    ids = []
    for _ in range(count):
        message = consumer.receive(30)
        assert message is not None
        ids.append(int(message.message_id))
        consumer.acknowledge(message)
    return ids


def test_a_message_comes_back_as_it_was_sent(
    producer: RabbitMQProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    headers = {"aggregate_id": "order-Ü", "metadata": '{"user":"u1"}'}
    occurred_on = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    consumer = make_consumer()
    producer.open(exchange)
    consumer.open(exchange)
    producer.send(
        exchange, NotificationMessage(b"\0\xff", "a/b", headers), "Überwiesen", 7, occurred_on
    )
    producer.flush(exchange)
    message = consumer.receive(30)

    assert message is not None
    assert message.message_id == "7"
    assert message.type_name == "Überwiesen"
    assert message.occurred_on == occurred_on
    assert message.body == b"\0\xff"
    assert message.content_type == "a/b"
    assert message.headers == headers


def test_what_was_not_acknowledged_comes_again_in_its_place(
    producer: RabbitMQProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 6))
    producer.flush(exchange)
    consumer = make_consumer()
    consumer.open(exchange)
    first = receive_ids(consumer, 2)
    seen = [consumer.receive(30), consumer.receive(30)]
    consumer.close()
    consumer.open(exchange)

    assert first == [1, 2]
    assert [message and message.message_id for message in seen] == ["3", "4"]
    assert receive_ids(consumer, 3) == [3, 4, 5]
    assert consumer.receive(0.1) is None


def test_what_was_acknowledged_does_not_come_again_from_a_quorum_queue(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    """The channel of a consumer that just closed forgot what it had yet to tell the queue."""
    quorum = {"x-queue-type": "quorum"}
    producer = make_producer(queue_arguments=quorum)
    consumer = make_consumer(prefetch=200, queue_arguments=quorum)
    producer.open(exchange)
    for first in range(1, 8001, 1000):
        sent = range(first, first + 1000)
        send_all(producer, exchange, sent)
        producer.flush(exchange)
        consumer.open(exchange)
        assert receive_ids(consumer, 1000) == list(sent)
        consumer.close()
    consumer.open(exchange)

    assert consumer.receive(0.5) is None


def test_more_messages_than_are_sent_ahead_all_arrive(
    producer: RabbitMQProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 1001))
    producer.flush(exchange)
    consumer = make_consumer(prefetch=7)
    consumer.open(exchange)

    assert receive_ids(consumer, 1000) == list(range(1, 1001))


def test_each_named_subscriber_has_everything_from_its_first_opening_on(
    producer: RabbitMQProducer, make_consumer: MakeConsumer, client: Client, exchange: str
) -> None:
    name = f"{exchange}-billing"
    billing = make_consumer(name)
    billing.open(exchange)
    billing.close()
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    billing.open(exchange)

    assert receive_ids(billing, 3) == [1, 2, 3]
    assert client.ids(exchange) == [1, 2, 3]
    client.channel.queue_declare(name, durable=True)


def test_receive_keeps_to_its_timeout(make_consumer: MakeConsumer, exchange: str) -> None:
    consumer = make_consumer()
    consumer.open(exchange)
    begin = time.monotonic()

    assert consumer.receive(0.3) is None
    assert consumer.receive(0) is None
    assert 0.3 <= time.monotonic() - begin < 5


def test_a_message_that_another_program_wrote_is_read_as_far_as_it_goes(
    make_consumer: MakeConsumer, client: Client, exchange: str
) -> None:
    consumer = make_consumer()
    consumer.open(exchange)
    client.channel.basic_publish(exchange, "", b"bare")
    properties = pika.BasicProperties(timestamp=1767323045, headers={"n": 1, "occurred_on": "?"})
    client.channel.basic_publish(exchange, "", b"", properties)
    bare, full = consumer.receive(30), consumer.receive(30)

    assert bare is not None
    assert (bare.message_id, bare.type_name, bare.occurred_on, bare.body) == ("", "", None, b"bare")
    assert full is not None
    assert full.occurred_on == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert full.headers == {"n": "1"}


def test_a_deleted_queue_ends_the_subscription_with_a_sentence(
    make_consumer: MakeConsumer, client: Client, exchange: str
) -> None:
    consumer = make_consumer()
    consumer.open(exchange)
    client.channel.queue_delete(exchange)

    with pytest.raises(BrokerUnavailableError, match="was deleted"):
        consumer.receive(20)


def test_what_a_quorum_queue_is_given_back_often_is_told_of(
    make_producer: MakeProducer,
    rabbitmq: StreamBroker,
    exchange: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    arguments: dict[str, bool | int | str] = {"x-queue-type": "quorum", "x-delivery-limit": MANY}
    producer = make_producer(queue_arguments=arguments)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 3))
    producer.flush(exchange)
    settings = RabbitMQSettings(url=SecretStr(rabbitmq.url), queue_arguments=arguments)

    def take_one(seconds: float) -> str | None:
        consumer = RabbitMQConsumer(settings, None)
        try:
            consumer.open(exchange)
            message = consumer.receive(seconds)
        finally:
            consumer.close()
        return message.message_id if message else None

    assert [take_one(30) for _ in range(MANY)] == ["1"] * MANY
    assert "given back" not in caplog.text
    assert take_one(30) == "1"
    assert caplog.text.count(f"message 1 was given back {MANY} times") == 1
    # Why it is told of: both are gone then, though nobody was ever given the second.
    assert take_one(1) is None


def test_a_cut_connection_is_noticed(
    make_consumer: MakeConsumer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    consumer = make_consumer(url=proxied)
    consumer.open(exchange)
    proxy.cut()

    with pytest.raises(BrokerUnavailableError, match="the connection was lost"):
        consumer.receive(20)
    consumer.close()
    consumer.open(exchange)
    assert consumer.receive(0.1) is None
