"""Without what RabbitMQ deprecates: where it is denied, and where an earlier version used it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pika
import pytest

from tests.conftest import servers
from tests.rabbitmq.client import Client, send
from tests.remembered import newest_id
from tests.servers import RabbitMQ
from tidings.plugins import BrokerRefusedError, ExchangeLockedError
from tidings.testing.samples import send_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings_rabbitmq.producer import RabbitMQProducer

DENIED = "deprecated_features.permit.{} = false"
FEATURES = (
    "transient_nonexcl_queues",
    "global_qos",
    "classic_queue_mirroring",
    "ram_node_type",
    "queue_master_locator",
)
FIRST_VERSION = 4
CLASSIC = {"x-queue-type": "classic"}
OLD_TAIL = {"x-max-length": 1, "x-overflow": "drop-head", "x-queue-type": "classic"}


def require_transient_queues(rabbitmq: StreamBroker) -> None:
    """Skip if the broker permits no transient queues that connections share."""
    try:
        with Client(rabbitmq.url) as client:
            client.channel.queue_delete(client.channel.queue_declare("").method.queue)
    except pika.exceptions.AMQPError as error:
        pytest.skip(f"this RabbitMQ permits no such queue: {error!r}")


@pytest.fixture(scope="module")
def strict(rabbitmq: StreamBroker) -> Iterator[RabbitMQ]:
    version = rabbitmq.ctl("version").strip()
    if int(version.partition(".")[0]) < FIRST_VERSION:
        pytest.skip(f"RabbitMQ {version} cannot deny what is deprecated")
    with servers(RabbitMQ) as start:
        yield start(extra_config="\n".join(map(DENIED.format, FEATURES)))


def test_such_a_broker_takes_no_transient_queue(strict: RabbitMQ) -> None:
    with pytest.raises(pika.exceptions.AMQPError), Client(strict.url) as client:
        client.channel.queue_declare("transient")


@pytest.mark.parametrize("resume", ["tracker", "tail"])
def test_both_modes_need_nothing_that_is_deprecated(
    strict: RabbitMQ, make_producer: MakeProducer, exchange: str, resume: str
) -> None:
    first, second = (make_producer(url=strict.url, resume=resume) for _ in range(2))
    first.open(exchange)
    send_all(first, exchange, range(1, 101))
    first.flush(exchange)
    with pytest.raises(ExchangeLockedError):
        second.open(exchange)
    first.close(exchange)
    second.open(exchange)

    if resume == "tail":
        accepted = second.most_recent_accepted(exchange)
        assert accepted is not None
        assert accepted.event_id == 100
    with Client(strict.url) as client:
        assert client.ids(exchange) == list(range(1, 101))


@pytest.mark.parametrize("resume", ["tracker", "tail"])
def test_queues_that_an_earlier_version_made_transient_make_way(
    rabbitmq: StreamBroker,
    make_producer: MakeProducer,
    client: Client,
    exchange: str,
    resume: str,
) -> None:
    require_transient_queues(rabbitmq)
    client.channel.queue_declare(f"{exchange}.relay")
    client.channel.queue_declare(f"{exchange}.tail", arguments=OLD_TAIL)
    producer = make_producer(resume=resume)
    for _ in range(2):
        producer.open(exchange)
        send(producer, exchange, 1)
        producer.flush(exchange)
        producer.close(exchange)

    client.channel.queue_declare(f"{exchange}.relay", durable=True, arguments=CLASSIC)


def test_a_tail_that_an_earlier_version_made_durable_makes_way(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    for name in (f"{exchange}.tail", f"{exchange}.marker"):
        client.channel.queue_declare(name, durable=True, arguments=OLD_TAIL)
    producer = make_producer(resume="tail")
    for last in (1, 2):
        producer.open(exchange)
        send(producer, exchange, last)
        producer.flush(exchange)
        producer.close(exchange)
    producer.open(exchange)

    assert newest_id(producer, exchange) == 2
    assert client.ids(exchange) == [1, 2]


def test_a_relay_of_an_earlier_version_that_holds_the_exchange_keeps_it(
    rabbitmq: StreamBroker, producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    require_transient_queues(rabbitmq)
    lock = f"{exchange}.relay"
    client.channel.queue_declare(lock)
    client.channel.basic_consume(lock, lambda *_: None, exclusive=True, auto_ack=True)

    with pytest.raises(ExchangeLockedError, match="another publisher holds it"):
        producer.open(exchange)
    client.channel.cancel()
    client.channel.queue_declare(lock, passive=True)


def test_a_strangers_transient_queue_is_not_deleted(
    rabbitmq: StreamBroker, make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    require_transient_queues(rabbitmq)
    client.channel.queue_declare(f"{exchange}.tail")

    with pytest.raises(BrokerRefusedError, match="x-max-length"):
        make_producer(resume="tail").open(exchange)
    client.channel.queue_declare(f"{exchange}.tail", passive=True)
