"""What another program sees of what we publish, and what our consumer gives back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from tests.activemq.client import NOW, Client, ids, queue_of
from tests.activemq.sending import MESSAGE, send
from tidings.plugins import BrokerRefusedError, NotificationMessage, UndeliverableEventError
from tidings.testing.samples import send_all

if TYPE_CHECKING:
    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tidings_activemq.producer import ActiveMQProducer

HEADERS = {"aggregate_id": "order:1\\n\r", "metadata": '{"user": "Jürgen",\n "n": null}'}


def test_a_message_looks_as_documented(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    message_sent = NotificationMessage(b'{"a":"\x00"}', "application/json", HEADERS)
    producer.send(exchange, message_sent, "shop:Überwiesen", 2**63 - 1, NOW)
    producer.flush(exchange)
    (message,) = client.read(queue_of(exchange), 1)

    assert message.body == b'{"a":"\x00"}'
    assert HEADERS.items() <= message.headers.items()
    assert message.headers["type"] == "shop:Überwiesen"
    assert message.headers["event-id"] == message.headers["correlation-id"] == str(2**63 - 1)
    assert message.headers["content-type"] == "application/json"
    assert message.headers["occurred_on"] == "2026-01-02T03:04:05.000006+00:00"
    assert message.headers["timestamp"] == str(1767323045000)
    assert message.headers["persistent"] == "true"
    assert message.headers["original-destination"] == f"/topic/VirtualTopic.{exchange}"


def test_a_time_of_another_zone_is_the_same_moment(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    producer.send(exchange, MESSAGE, "OrderPlaced", 1, tokyo)
    producer.flush(exchange)
    (message,) = client.read(queue_of(exchange), 1)

    assert message.headers["occurred_on"] == "2026-01-02T03:04:05.000006+00:00"
    assert message.headers["timestamp"] == str(1767323045000)


def test_ten_thousand_reach_two_subscribers_complete_and_in_order(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(subscribers=["app", "audit"])
    producer.open(exchange)
    send_all(producer, exchange, range(1, 10_001))
    producer.flush(exchange)

    for subscriber in ("app", "audit"):
        read = ids(client.read_fast(queue_of(exchange, subscriber), 10_000))
        assert read == list(range(1, 10_001))


def test_subscribers_that_come_later_miss_nothing(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer = make_producer(subscribers=["app", "late"])
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    consumer = make_consumer("late")
    consumer.open(exchange)
    message = consumer.receive(30)

    assert message
    assert message.message_id == "1"


def test_opening_takes_nothing_from_a_queue_not_even_for_a_moment(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 11))
    producer.flush(exchange)
    for _ in range(3):
        producer.close(exchange)
        producer.open(exchange)
    messages = client.read_fast(queue_of(exchange), 10)

    # Another reader would get these behind those that it has: out of order.
    assert [message for message in messages if "redelivered" in message.headers] == []
    assert ids(messages) == list(range(1, 11))


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_a_destination_in_full_is_used_as_it_is(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str, kind: str
) -> None:
    destination = f"/{kind}/given.{exchange}"
    consumer = make_consumer(destination=destination)
    consumer.open(exchange)
    producer = make_producer(destination=destination)
    producer.open(exchange)
    send_all(producer, exchange, [1, 2, 3])
    producer.flush(exchange)
    received = [consumer.receive(30) for _ in range(3)]

    assert [message and message.message_id for message in received] == ["1", "2", "3"]


def test_a_consumer_gives_back_all_that_was_sent(
    producer: ActiveMQProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer.open(exchange)
    body = bytes(range(256))
    message = NotificationMessage(body, "application/octet-stream; x=1", HEADERS)
    producer.send(exchange, message, " Odd:\\type é ", 17, NOW)
    producer.flush(exchange)
    consumer = make_consumer()
    consumer.open(exchange)
    received = consumer.receive(30)

    assert received
    assert received.message_id == "17"
    assert received.type_name == " Odd:\\type é "
    assert received.occurred_on == NOW
    assert (received.body, received.content_type) == (body, "application/octet-stream; x=1")
    assert received.headers == HEADERS


def test_what_is_not_acknowledged_comes_again_in_order_and_the_rest_does_not(
    producer: ActiveMQProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 7))
    producer.flush(exchange)
    consumer = make_consumer()
    consumer.open(exchange)
    messages = [consumer.receive(30) for _ in range(6)]
    for message in (messages[0], messages[3]):
        assert message
        consumer.acknowledge(message)
    consumer.close()
    consumer.open(exchange)
    again = [consumer.receive(30) for _ in range(4)]

    assert [message and message.message_id for message in again] == ["2", "3", "5", "6"]
    assert consumer.receive(0.2) is None


def test_what_is_never_acknowledged_comes_again_however_often(
    producer: ActiveMQProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    found = []
    for _ in range(10):  # JMS clients put a message away after six times
        consumer = make_consumer()
        consumer.open(exchange)
        found.append([message.message_id for _ in range(3) if (message := consumer.receive(30))])
        consumer.close()

    assert found == [["1", "2", "3"]] * 10


def test_a_strangers_message_can_be_read(
    make_consumer: MakeConsumer, client: Client, exchange: str
) -> None:
    consumer = make_consumer()
    consumer.open(exchange)
    client.request("SEND", {"destination": f"/topic/VirtualTopic.{exchange}", "x": "y"}, b"hello")
    before = datetime.now(UTC)
    received = consumer.receive(30)

    assert received
    assert received.message_id.startswith("ID:")
    assert (received.body, received.type_name, received.headers) == (b"hello", "", {"x": "y"})
    assert received.occurred_on
    assert abs(received.occurred_on - before) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("headers", "wrong"),
    [
        ({"metadata": "x" * 10_240}, "10,250"),
        ({"metadata": ":" * 5200}, "10,410"),
        ({"priority": "high"}, "'priority'"),
        ({"destination": "/queue/elsewhere"}, "'destination'"),
        ({"JMSXGroupID": "a"}, "'JMSXGroupID'"),
        ({"amq-msg-type": "order"}, "'amq-msg-type'"),  # would hold up the exchange for ever
        ({"": "a"}, "''"),
        ({"metadata": "\udc80"}, "not valid text"),
    ],
)
def test_headers_that_would_break_the_frame_are_refused_before_anything_is_sent(
    producer: ActiveMQProducer, client: Client, exchange: str, headers: dict[str, str], wrong: str
) -> None:
    producer.open(exchange)
    send(producer, exchange, 1)
    with pytest.raises(UndeliverableEventError, match=wrong) as raised:
        send(producer, exchange, 2, headers=headers)
    send(producer, exchange, 3)
    producer.flush(exchange)

    assert raised.value.event_id == 2
    assert exchange in str(raised.value)
    assert ids(client.read(queue_of(exchange), 2)) == [1, 3]


def test_the_longest_header_that_is_let_through_is_taken_by_the_broker(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    value = "x" * (10_240 - len("metadata:\n"))
    producer.open(exchange)
    send(producer, exchange, 1, headers={"metadata": value})
    producer.flush(exchange)

    assert client.read(queue_of(exchange), 1)[0].headers["metadata"] == value


@pytest.mark.parametrize("name", ["a,b", "a>", "*", "a/b", "a?b=c", "a b", "", ".a", "ActiveMQ.x"])
def test_an_exchange_name_that_means_something_else_to_activemq_is_refused(
    producer: ActiveMQProducer, make_consumer: MakeConsumer, name: str
) -> None:
    with pytest.raises(BrokerRefusedError, match="another name"):
        producer.open(name)
    with pytest.raises(BrokerRefusedError, match="another name"):
        make_consumer().open(name)


def test_a_consumer_without_a_usable_subscriber_says_what_to_do(
    make_consumer: MakeConsumer, exchange: str
) -> None:
    with pytest.raises(BrokerRefusedError, match="name a subscriber"):
        make_consumer(subscribers=[]).open(exchange)
    with pytest.raises(BrokerRefusedError, match="Use another name"):
        make_consumer("a.b").open(exchange)
