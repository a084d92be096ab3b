"""Partitions: a queue each, that one consumer has at a time, and the next one in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.activemq.client import NOW, Client, ids, queue_of
from tidings.plugins import Capability, NotificationMessage, UndeliverableEventError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tidings.plugins import MessageConsumer, MessageProducer, ReceivedMessage

OF = 4


def send(producer: MessageProducer, exchange: str, ids: Iterable[int], key: str = "") -> None:
    """Send events whose partition is their id modulo ``OF``."""
    for event_id in ids:
        message = NotificationMessage(b"{}", "application/json", {}, key, None, event_id % OF)
        producer.send(exchange, message, "OrderPlaced", event_id, NOW)
    producer.flush(exchange)


def receive(consumer: MessageConsumer, count: int) -> list[ReceivedMessage]:
    messages = []
    for _ in range(count):
        message = consumer.receive(10)
        assert message
        messages.append(message)
    return messages


def numbers(messages: list[ReceivedMessage]) -> list[int]:
    return [int(message.message_id) for message in messages]


def test_each_partition_is_a_topic_with_a_queue_for_each_subscriber_and_a_message_group(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(subscribers=["app", "audit"])
    producer.open(exchange, partitions=OF)
    assert Capability.PARTITIONS in producer.capabilities
    send(producer, exchange, range(1, 9))

    for subscriber in ("app", "audit"):
        for partition in range(OF):
            messages = client.browse(f"{queue_of(exchange, subscriber)}.{partition}")
            assert ids(messages) == [partition or OF, (partition or OF) + OF]
            assert {each.headers["partition"] for each in messages} == {str(partition)}
    client.subscribe(f"/queue/{queue_of(exchange)}.3", selector="JMSXGroupID = '3'")
    frame = client.frame(10)
    assert frame
    assert ids([frame]) == [3]


def test_an_exchange_that_is_not_parted_has_nothing_of_it(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange)
    producer.send(exchange, NotificationMessage(b"{}", "", {"partition": "mine"}), "A", 1, NOW)
    producer.flush(exchange)
    (message,) = client.read(queue_of(exchange), 1)

    assert message.headers["partition"] == "mine"
    assert message.headers["original-destination"] == f"/topic/VirtualTopic.{exchange}"


def test_one_consumer_has_a_partition_and_the_next_goes_on_behind_it(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange, partitions=OF)
    first, second = make_consumer(), make_consumer()
    for each in (first, second):
        each.select_partitions([1], OF)
        each.open(exchange)
    send(producer, exchange, range(1, 21))
    messages = receive(first, 5)
    assert numbers(messages) == [1, 5, 9, 13, 17]
    assert {message.partition for message in messages} == {1}
    assert messages[0].headers == {}
    for message in messages[:2]:
        first.acknowledge(message)
    assert second.receive(0.3) is None
    first.close()

    assert numbers(receive(second, 3)) == [9, 13, 17]


def test_what_another_program_sends_to_a_partition_is_with_one_consumer_too(
    make_consumer: MakeConsumer, client: Client, exchange: str
) -> None:
    first, second = make_consumer(), make_consumer()
    for each in (first, second):
        each.select_partitions([1], OF)
        each.open(exchange)
    for event_id in range(1, 11):  # in no message group
        headers = {"destination": f"/topic/VirtualTopic.{exchange}.1", "event-id": str(event_id)}
        client.request("SEND", headers)

    assert numbers(receive(first, 10)) == [*range(1, 11)]
    assert second.receive(0.3) is None


def test_who_names_no_partition_takes_all_that_nobody_has(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange, partitions=OF)
    some, rest = make_consumer(), make_consumer()
    some.select_partitions([0, 3], OF)
    some.open(exchange)
    rest.select_partitions([], OF)
    rest.open(exchange)
    send(producer, exchange, range(1, 9))

    taken = receive(rest, 4)
    assert sorted(numbers(taken)) == [1, 2, 5, 6]
    for message in taken:
        rest.acknowledge(message)
    assert rest.receive(0.3) is None
    some.close()
    assert sorted(numbers(receive(rest, 4))) == [3, 4, 7, 8]


def test_partitions_and_routing_keys_go_together(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    settings = {"routing": "topic", "subscribers": {"billing": ["bill.*"], "audit": ["#"]}}
    producer = make_producer(**settings)
    producer.open(exchange, partitions=OF)
    send(producer, exchange, [1, 2, 5], "bill.paid")
    send(producer, exchange, [9, 13], "shop.paid")

    found = {}
    for name, count in (("billing", 2), ("audit", 4)):
        consumer = make_consumer(name, **settings)
        consumer.select_partitions([1], OF)
        consumer.open(exchange)
        messages = receive(consumer, count)
        assert consumer.receive(0.3) is None
        found[name] = [(each.message_id, each.routing_key, each.partition) for each in messages]
    assert found["billing"] == [("1", "bill.paid", 1), ("5", "bill.paid", 1)]
    assert found["audit"] == [*found["billing"], ("9", "shop.paid", 1), ("13", "shop.paid", 1)]


def test_what_nobody_reads_keeps_no_other_partition_waiting(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange, partitions=OF)
    send(producer, exchange, range(OF, 4001, OF))
    send(producer, exchange, [4001])
    consumer = make_consumer()
    consumer.select_partitions([1], OF)
    consumer.open(exchange)

    assert numbers(receive(consumer, 1)) == [4001]


def test_a_destination_in_full_keeps_the_message_groups_alone(
    make_producer: MakeProducer, make_consumer: MakeConsumer, client: Client, exchange: str
) -> None:
    destination = f"/queue/given.{exchange}"
    producer = make_producer(destination=destination)
    producer.open(exchange, partitions=OF)
    send(producer, exchange, range(1, 5))
    client.subscribe(destination, selector="JMSXGroupID = '2'")
    frame = client.frame(10)

    assert frame
    assert (ids([frame]), frame.headers["partition"]) == ([2], "2")
    assert Capability.PARTITIONS not in make_consumer(destination=destination).capabilities


def test_a_header_of_the_same_name_is_refused_in_an_exchange_that_is_parted(
    make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange, partitions=OF)
    message = NotificationMessage(b"{}", "", {"partition": "mine"}, partition=1)
    with pytest.raises(UndeliverableEventError, match="'partition' is the one that its own"):
        producer.send(exchange, message, "OrderPlaced", 1, NOW)
