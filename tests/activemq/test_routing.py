"""Routing keys: a subscriber gets what its queue's name stands for, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.activemq.client import NOW, Client, ids, queue_of
from tidings.plugins import (
    BrokerRefusedError,
    Capability,
    NotificationMessage,
    UndeliverableEventError,
)
from tidings_activemq.frames import MAX_HEADER_LINE
from tidings_activemq.routing import wanted

if TYPE_CHECKING:
    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tidings.plugins import MessageConsumer, MessageProducer

KEYS = ["shop.paid", "shop.placed", "bill.paid", "shop.paid.late", "", "shop", "shop.paid"]


def send(producer: MessageProducer, exchange: str, event_id: int, key: str, **headers: str) -> None:
    message = NotificationMessage(b"{}", "application/json", headers, key)
    producer.send(exchange, message, "OrderPlaced", event_id, NOW)


def send_keys(producer: MessageProducer, exchange: str, keys: list[str]) -> None:
    for event_id, key in enumerate(keys, 1):
        send(producer, exchange, event_id, key)
    producer.flush(exchange)


def read(consumer: MessageConsumer, count: int) -> list[tuple[str, str]]:
    """Return ids and keys of so many messages, and of any that come behind them."""
    found: list[tuple[str, str]] = []
    while message := consumer.receive(10 if len(found) < count else 0.3):
        found.append((message.message_id, message.routing_key))
        consumer.acknowledge(message)
    return found


def test_each_queue_gets_what_its_name_stands_for_to_an_independent_client(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    subscribers = {"all": [], "orders": ["shop.*"], "paid": ["shop.paid.#"], "bill": ["bill.paid"]}
    producer = make_producer(routing="topic", subscribers=subscribers)
    producer.open(exchange)
    send_keys(producer, exchange, KEYS)

    def read_by_hand(subscriber: str, name: str, count: int) -> list[int]:
        return ids(client.read(f"{queue_of(exchange, subscriber)}.{name}", count))

    assert read_by_hand("all", ">", 7) == [1, 2, 3, 4, 5, 6, 7]
    assert read_by_hand("orders", "shop.*", 3) == [1, 2, 7]
    assert read_by_hand("paid", "shop.paid.>", 3) == [1, 4, 7]
    assert read_by_hand("bill", "bill.paid", 1) == [3]
    for subscriber, name in (("orders", "shop.*"), ("paid", "shop.paid.>"), ("bill", "bill.paid")):
        assert client.browse(f"{queue_of(exchange, subscriber)}.{name}") == []


def test_a_key_travels_as_a_header_by_which_a_selector_chooses(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    key = "shop: 'paid'/é, \N{GRINNING FACE}"
    producer = make_producer(routing="header")
    producer.open(exchange)
    for event_id, each in enumerate(["a", key, "b"], 1):
        send(producer, exchange, event_id, each)
    producer.flush(exchange)
    client.subscribe(f"/queue/{queue_of(exchange)}", selector="routing_key = 'b'")
    frame = client.frame(10)

    assert frame
    assert (ids([frame]), frame.headers["routing_key"]) == ([3], "b")
    assert frame.headers["original-destination"] == f"/topic/VirtualTopic.{exchange}"


def test_a_consumer_gives_back_the_key_whatever_is_in_it(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    odd = "shop: 'paid'/é, \N{GRINNING FACE}"
    producer = make_producer(routing="header")
    producer.open(exchange)
    send_keys(producer, exchange, [odd, "b", ""])
    consumer = make_consumer(routing="header")
    consumer.open(exchange)

    assert Capability.ROUTING not in consumer.capabilities
    assert read(consumer, 3) == [("1", odd), ("2", "b"), ("3", "")]


def test_without_routing_a_key_changes_nothing(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange)
    send_keys(producer, exchange, ["a.b"])
    (message,) = client.read(queue_of(exchange), 1)

    assert Capability.ROUTING not in producer.capabilities
    assert message.headers["original-destination"] == f"/topic/VirtualTopic.{exchange}"
    assert "routing_key" not in message.headers


SELECTED = {
    ("shop.paid",): ("shop.paid", [1, 7]),
    ("*.paid",): ("*.paid", [1, 3, 7]),
    ("shop.#",): ("shop.>", [1, 2, 4, 6, 7]),
    ("#",): (">", [1, 2, 3, 4, 5, 6, 7]),
    ("#.paid",): (">", [1, 3, 7]),
    ("shop.paid", "shop.placed"): ("shop.>", [1, 2, 7]),
    ("bill.*", "shop.paid.#"): (">", [1, 3, 4, 7]),
}


@pytest.mark.parametrize("patterns", SELECTED)
def test_a_named_subscriber_gets_what_it_selects_and_its_queue_is_narrow(
    make_producer: MakeProducer,
    make_consumer: MakeConsumer,
    client: Client,
    exchange: str,
    patterns: tuple[str, ...],
) -> None:
    name, expected = SELECTED[patterns]
    consumer = make_consumer("billing", routing="topic")
    consumer.select(patterns)
    consumer.open(exchange)
    producer = make_producer(routing="topic", subscribers=[])
    producer.open(exchange)
    send_keys(producer, exchange, KEYS)

    found = read(consumer, len(expected))
    assert found == [(str(each), KEYS[each - 1]) for each in expected]
    consumer.close()
    assert client.browse(f"{queue_of(exchange, 'billing')}.{name}") == []


def test_what_a_subscriber_did_not_select_does_not_come_when_it_selects_more(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    producer = make_producer(routing="topic", subscribers={"billing": ["bill.*", "shop.placed"]})
    producer.open(exchange)
    send_keys(producer, exchange, KEYS)
    consumer = make_consumer("billing", routing="topic")
    consumer.select(["bill.*", "shop.placed"])
    consumer.open(exchange)
    assert read(consumer, 2) == [("2", "shop.placed"), ("3", "bill.paid")]
    consumer.close()
    consumer.select(["bill.*", "shop.#"])
    consumer.open(exchange)
    send(producer, exchange, 8, "shop.paid")
    producer.flush(exchange)

    assert read(consumer, 1) == [("8", "shop.paid")]


def test_without_a_name_it_reads_what_is_sent_meanwhile_and_leaves_no_queue(
    make_producer: MakeProducer, make_consumer: MakeConsumer, client: Client, exchange: str
) -> None:
    producer = make_producer(routing="topic")
    producer.open(exchange)
    consumer = make_consumer(routing="topic")
    consumer.select(["#.paid", "shop"])
    consumer.open(exchange)
    send_keys(producer, exchange, KEYS)
    client.request("SEND", {"destination": f"/topic/VirtualTopic.{exchange}.a.b.paid"})

    found = read(consumer, 5)
    assert found[:4] == [("1", KEYS[0]), ("3", KEYS[2]), ("6", KEYS[5]), ("7", KEYS[6])]
    assert [key for _, key in found[4:]] == ["a.b.paid"], "a stranger's, which has no header"
    producer.close(exchange)
    left = client.browse(f"{queue_of(exchange)}.>")
    assert ids(left[:7]) == [1, 2, 3, 4, 5, 6, 7], "the queue of the first subscriber is untouched"


def test_the_settings_say_what_a_subscriber_gets_that_selects_nothing(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    settings = {"routing": "topic", "subscribers": {"billing": ["bill.*"], "audit": ["#"]}}
    producer = make_producer(**settings)
    producer.open(exchange)
    send_keys(producer, exchange, KEYS)

    found = {}
    for name, count in ((None, 1), ("audit", 7)):
        consumer = make_consumer(name, **settings)
        consumer.open(exchange)
        found[name] = [message_id for message_id, _ in read(consumer, count)]
    assert found == {None: ["3"], "audit": ["1", "2", "3", "4", "5", "6", "7"]}


@pytest.mark.parametrize(
    "key",
    ["a b", "a.*", "a>", "a/b", "a,b", "a?b", "a:b", "a\\b", ".a", "a.", "a..b", "\U0001f600"],
)
def test_a_key_that_a_name_cannot_hold_is_poison_of_its_own(
    make_producer: MakeProducer, client: Client, exchange: str, key: str
) -> None:
    producer = make_producer(routing="topic")
    producer.open(exchange)
    send(producer, exchange, 1, "a")
    with pytest.raises(UndeliverableEventError, match=r"Event 2 cannot.*routing key") as raised:
        send(producer, exchange, 2, key)
    send(producer, exchange, 3, "b")
    producer.flush(exchange)

    assert (raised.value.event_id, raised.value.exchange_name) == (2, exchange)
    assert ids(client.read(f"{queue_of(exchange)}.>", 2)) == [1, 3]


@pytest.mark.parametrize("key", ["a#b.$c%d", "ä{b}", "(a)&-_+=~'\"|;@!^`", "DLQ", "ActiveMQ.x"])
def test_a_key_of_other_signs_arrives(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str, key: str
) -> None:
    producer = make_producer(routing="topic")
    producer.open(exchange)
    send_keys(producer, exchange, [key])
    consumer = make_consumer(routing="topic")
    consumer.open(exchange)

    assert read(consumer, 1) == [("1", key)]


def test_the_longest_key_is_taken_and_one_that_is_longer_is_poison(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(routing="topic")
    producer.open(exchange)
    fixed = f"destination:/topic/VirtualTopic.{exchange}.\n"
    longest = "x" * (MAX_HEADER_LINE - len(fixed))
    with pytest.raises(UndeliverableEventError, match="Make the routing key shorter"):
        send(producer, exchange, 1, longest + "x")
    send(producer, exchange, 2, longest)
    producer.flush(exchange)

    assert ids(client.read(f"{queue_of(exchange)}.>", 1)) == [2]


def test_a_header_of_the_same_name_is_refused_only_if_there_is_a_key(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(routing="header")
    producer.open(exchange)
    send(producer, exchange, 1, "", routing_key="mine")
    with pytest.raises(UndeliverableEventError, match="Name the header otherwise"):
        send(producer, exchange, 2, "a", routing_key="mine")
    producer.flush(exchange)

    assert client.read(queue_of(exchange), 1)[0].headers["routing_key"] == "mine"


def test_a_selected_key_that_a_name_cannot_hold_is_a_sentence(
    make_consumer: MakeConsumer, exchange: str
) -> None:
    consumer = make_consumer("billing", routing="topic")
    consumer.select(["shop paid"])
    with pytest.raises(BrokerRefusedError, match=rf"{exchange}.*'shop paid' cannot stand"):
        consumer.open(exchange)


def test_the_probe_gets_into_no_subscribers_queue(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(routing="topic", token=False)
    producer.open(exchange)
    producer.close(exchange)
    producer.open(exchange)

    assert client.browse(f"{queue_of(exchange)}.>") == []


def test_a_pattern_that_has_no_word_at_activemq_stands_for_the_least_that_holds_it() -> None:
    assert wanted(["shop.#.paid"]).name == "shop.>"
    assert wanted(["a.b.c", "a.b.d", "a.b.#"]).name == "a.b.>"
    assert wanted([""]).name == ""
    assert wanted(["a.*.#"]).more is None
