"""An exchange that is parted, on streams: one for each partition, as an AMQP client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pika import exceptions
from pydantic import SecretStr

from tests.rabbitmq.client import NOON, Client, message
from tidings.plugins import Accepted, BrokerRefusedError, Position, fingerprint_of
from tidings_rabbitmq.stream.consumer import RabbitMQStreamConsumer
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.given import StreamBroker

PARTITIONS = 4
STORE = Position(0, 0, "store-1")
MARK = fingerprint_of("OrderPlaced", NOON)


@pytest.fixture
def producer(rabbitmq: StreamBroker, exchange: str) -> Iterator[RabbitMQStreamProducer]:
    settings = RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url))
    made = RabbitMQStreamProducer(settings)
    yield made
    made.close(exchange)


def send(
    producer: RabbitMQStreamProducer, exchange: str, *event_ids: int, partition: int | None = None
) -> None:
    for event_id in event_ids:
        place = event_id % PARTITIONS if partition is None else partition
        sent = message(event_id)._replace(partition=place, routing_key=f"key.{event_id}")
        producer.send(exchange, sent, "OrderPlaced", event_id, NOON)
    producer.flush(exchange)


def ids(client: Client, exchange: str, partition: int, count: int) -> list[int]:
    return [seen.event_id for seen in client.stream(f"{exchange}-{partition}", count)]


def test_each_partition_is_a_stream_that_another_program_reads(
    producer: RabbitMQStreamProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange, STORE, partitions=PARTITIONS)
    send(producer, exchange, *range(1, 13))

    assert producer.accepted_id(exchange) == 12
    for partition in range(PARTITIONS):
        seen = client.stream(f"{exchange}-{partition}", 3)
        wanted = [each for each in range(1, 13) if each % PARTITIONS == partition]
        assert [each.event_id for each in seen] == wanted
        assert [each.routing.routing_key for each in seen] == [f"key.{each}" for each in wanted]


def test_what_a_partition_has_is_dropped_if_it_is_sent_again(
    producer: RabbitMQStreamProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange, STORE, partitions=PARTITIONS)
    send(producer, exchange, 1, 2, 3, 4)
    send(producer, exchange, 8, 12, partition=0)
    producer.close(exchange)  # 5, 6 and 7, of other partitions, were lost on their way
    producer.open(exchange, STORE, partitions=PARTITIONS)

    remembered = producer.most_recent_accepted(exchange)
    assert remembered == Accepted(1, MARK, 0, "store-1"), "as far as every partition goes"
    send(producer, exchange, *range(2, 14))

    assert ids(client, exchange, 0, 3) == [4, 8, 12]
    assert ids(client, exchange, 1, 4) == [1, 5, 9, 13]
    assert ids(client, exchange, 2, 3) == [2, 6, 10]
    assert producer.accepted_id(exchange) == 13


def test_what_each_partition_has_is_told_to_be_compared_with_the_store(
    producer: RabbitMQStreamProducer, exchange: str
) -> None:
    producer.open(exchange, STORE, partitions=PARTITIONS)
    send(producer, exchange, 4, 9)
    producer.close(exchange)
    opened: Any = producer.open(exchange, STORE, partitions=PARTITIONS)

    assert producer.most_recent_accepted(exchange) is None, "two partitions may lack the first"
    assert opened.accepted_ahead() == [
        Accepted(4, MARK, 0, "store-1"),
        Accepted(9, MARK, 0, "store-1"),
    ]


def is_super_stream(client: Client, exchange: str) -> bool:
    """Tell whether RabbitMQ knows it as one (from 3.13 on), and not only its partitions."""
    channel = client.channel.connection.channel()
    try:
        channel.exchange_declare(exchange, passive=True)
    except exceptions.ChannelClosedByBroker:
        return False
    channel.close()
    return True


def test_rabbitmq_knows_the_super_stream_if_it_can_make_one(
    rabbitmq: StreamBroker,
    producer: RabbitMQStreamProducer,
    client: Client,
    exchange: str,
    server_lacks: Callable[[str], None],
) -> None:
    producer.open(exchange, STORE, partitions=PARTITIONS)
    version = tuple(map(int, rabbitmq.ctl("version").strip().split(".")[:2]))
    made = is_super_stream(client, exchange)

    assert made == (version >= (3, 13))
    if not made:
        server_lacks("RabbitMQ makes no super stream for a client (from 3.13 on): only its streams")


@pytest.mark.parametrize(
    ("partitions", "partition_by"), [(4, "aggregate_id"), (8, "metadata.tenant")]
)
def test_if_keys_belong_to_other_partitions_no_event_is_taken_for_had(
    producer: RabbitMQStreamProducer,
    client: Client,
    exchange: str,
    partitions: int,
    partition_by: str,
) -> None:
    producer.open(exchange, STORE, partitions=8, partition_by="aggregate_id")
    for event_id in range(10, 18):
        send(producer, exchange, event_id, partition=event_id % 8)
    producer.close(exchange)  # 6, of partition 4, was lost on its way
    if partitions < 8 and is_super_stream(client, exchange):
        with pytest.raises(BrokerRefusedError, match="has 8 partitions"):
            producer.open(exchange, STORE, partitions=partitions, partition_by=partition_by)
        return
    producer.open(exchange, STORE, partitions=partitions, partition_by=partition_by)

    assert producer.most_recent_accepted(exchange) is None
    send(producer, exchange, 6, partition=0)
    assert producer.accepted_id(exchange) == 6
    assert ids(client, exchange, 0, 2) == [16, 6]


def test_a_super_stream_that_is_there_is_used(
    producer: RabbitMQStreamProducer, client: Client, exchange: str
) -> None:
    channel = client.channel
    channel.exchange_declare(exchange, "direct", durable=True, arguments={"x-super-stream": True})
    names = [f"{exchange}-{zone}" for zone in ("amer", "emea", "apac")]
    for order, name in enumerate(names):
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "stream"})
        place: dict[str, Any] = {"x-stream-partition-order": order}
        channel.queue_bind(name, exchange, str(order), place)
    producer.open(exchange, STORE, partitions=3)
    send(producer, exchange, 1, partition=2)

    assert [seen.event_id for seen in client.stream(names[2], 1)] == [1]
    producer.close(exchange)
    with pytest.raises(BrokerRefusedError, match="has 3 partitions, and the configuration says 4"):
        producer.open(exchange, STORE, partitions=4)


def test_more_partitions_than_a_connection_has_publishers_are_refused(
    producer: RabbitMQStreamProducer, exchange: str
) -> None:
    with pytest.raises(BrokerRefusedError, match="at most 255 publishers"):
        producer.open(exchange, STORE, partitions=256)


def test_a_consumer_goes_on_in_each_partition_where_it_stopped(
    rabbitmq: StreamBroker, producer: RabbitMQStreamProducer, exchange: str
) -> None:
    producer.open(exchange, STORE, partitions=PARTITIONS)
    send(producer, exchange, *range(1, 9))
    settings = RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url))
    consumer = RabbitMQStreamConsumer(settings, "billing")
    consumer.select_partitions([1, 2], PARTITIONS)
    came: list[tuple[int | None, str]] = []
    for _ in range(2):
        consumer.open(exchange)
        for _ in range(2):
            received = consumer.receive(20)
            assert received
            came.append((received.partition, received.message_id))
            consumer.acknowledge(received)
        consumer.close()

    assert sorted(came) == [(1, "1"), (1, "5"), (2, "2"), (2, "6")]
    consumer.open(exchange)
    assert consumer.receive(0.3) is None
    consumer.close()
