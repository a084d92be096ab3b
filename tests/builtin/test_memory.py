"""What the in-memory parts offer to tests beyond their interfaces."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from tidings.builtin.memory import (
    InMemoryBroker,
    InMemoryConsumer,
    InMemoryEventStore,
    InMemoryProducer,
)
from tidings.errors import BrokerUnavailableError, NotAcceptedError
from tidings.event import NewEvent
from tidings.interfaces import NotificationMessage

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def send(producer: InMemoryProducer, *ids: int) -> None:
    for event_id in ids:
        message = NotificationMessage(b"{}", "application/json", {"aggregate_id": "order-1"})
        producer.send("my-bc-app", message, "OrderPlaced", event_id, NOON)


def send_and_flush(producer: InMemoryProducer, *ids: int) -> None:
    send(producer, *ids)
    producer.flush("my-bc-app")


def ids(broker: InMemoryBroker) -> list[str]:
    return [message.message_id for message in broker.messages("my-bc-app")]


def test_the_broker_lists_what_it_accepted() -> None:
    producer = InMemoryProducer()
    producer.open("my-bc-app")
    send(producer, 1, 2)
    first = producer.broker.messages("my-bc-app")[0]
    assert (first.type_name, first.occurred_on, first.body) == ("OrderPlaced", NOON, b"{}")
    assert first.headers == {"aggregate_id": "order-1"}
    assert ids(producer.broker) == ["1", "2"]
    assert producer.broker.messages("another") == []


def test_a_frozen_broker_accepts_later_and_flush_waits_for_it() -> None:
    producer = InMemoryProducer(no_progress=30)
    producer.open("my-bc-app")
    producer.broker.freeze()
    send(producer, 1, 2)
    assert (ids(producer.broker), producer.accepted_id("my-bc-app")) == ([], None)
    flushing = threading.Thread(target=producer.flush, args=("my-bc-app",))
    flushing.start()
    producer.broker.thaw()
    flushing.join(30)
    assert not flushing.is_alive()
    assert (ids(producer.broker), producer.accepted_id("my-bc-app")) == (["1", "2"], 2)


def test_a_full_window_blocks_until_the_broker_thaws() -> None:
    producer = InMemoryProducer(window=2, no_progress=30)
    producer.open("my-bc-app")
    producer.broker.freeze()
    send(producer, 1, 2)
    third = threading.Thread(target=send, args=(producer, 3))
    third.start()
    third.join(0.2)
    assert third.is_alive()
    producer.broker.thaw()
    third.join(30)
    assert ids(producer.broker) == ["1", "2", "3"]


def test_rejected_messages_are_not_accepted_as_many_as_asked() -> None:
    producer = InMemoryProducer()
    producer.broker.reject("my-bc-app", 2)
    for _ in range(2):
        producer.open("my-bc-app")
        with pytest.raises(NotAcceptedError, match=r"Event 1 .* 'my-bc-app' .* rejects it"):
            send_and_flush(producer, 1)
        producer.close("my-bc-app")
    producer.open("my-bc-app")
    send(producer, 1)
    assert ids(producer.broker) == ["1"]


def test_an_exchange_that_is_bound_again_accepts_again() -> None:
    producer = InMemoryProducer()
    producer.broker.unbind("my-bc-app")
    producer.open("my-bc-app")
    with pytest.raises(NotAcceptedError, match="nobody is bound"):
        send_and_flush(producer, 1)
    producer.close("my-bc-app")
    producer.broker.bind("my-bc-app")
    producer.open("my-bc-app")
    send(producer, 1)
    assert ids(producer.broker) == ["1"]


def test_a_cut_loses_what_was_not_accepted_and_is_told_to_every_call() -> None:
    producer = InMemoryProducer()
    producer.open("my-bc-app")
    send(producer, 1)
    producer.broker.freeze()
    send(producer, 2)
    producer.broker.cut()
    producer.broker.thaw()
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError, match="was cut"):
            producer.flush("my-bc-app")
    assert (ids(producer.broker), producer.accepted_id("my-bc-app")) == (["1"], 1)


def test_each_subscriber_reads_everything() -> None:
    broker = InMemoryBroker()
    producer = InMemoryProducer(broker)
    producer.open("my-bc-app")
    send(producer, 1, 2)
    for subscriber in ("app", "audit"):
        consumer = InMemoryConsumer(broker, subscriber)
        consumer.open("my-bc-app")
        received = [consumer.receive(0), consumer.receive(0)]
        assert [message and message.message_id for message in received] == ["1", "2"]
        assert consumer.receive(0) is None


def test_a_waiting_consumer_is_woken_by_a_message() -> None:
    broker = InMemoryBroker()
    consumer = InMemoryConsumer(broker)
    consumer.open("my-bc-app")
    received: list[object] = []
    reader = threading.Thread(target=lambda: received.append(consumer.receive(60)))
    reader.start()
    producer = InMemoryProducer(broker)
    producer.open("my-bc-app")
    send(producer, 1)
    reader.join(30)
    assert len(received) == 1


def test_the_store_names_the_transaction_that_holds_the_reader() -> None:
    store = InMemoryEventStore()
    with store.transaction() as first:
        store.append(first, NewEvent("A", 1))
        with store.transaction() as second:
            store.append(second, NewEvent("B", 1))
        assert list(store.all_stored_events_since(0, 10)) == []
        hold = store.hold()
        assert hold is not None
        assert (hold.missing_id, hold.holder) == (1, "transaction 1")


def test_a_foreign_connection_is_refused_with_the_way_to_do_it() -> None:
    with pytest.raises(TypeError, match=r"with store.transaction\(\) as transaction"):
        InMemoryEventStore().append(object(), NewEvent("A", 1))


def test_an_ended_transaction_takes_no_more_events() -> None:
    store = InMemoryEventStore()
    with store.transaction() as transaction:
        pass
    with pytest.raises(RuntimeError, match="has ended"):
        store.append(transaction, NewEvent("A", 1))
    assert store.newest_event_id() is None


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("#", ["", "a", "a.b", "a.b.c", "b"]),
        ("a", ["a"]),
        ("*", ["a", "b"]),
        ("a.*", ["a.b"]),
        ("a.#", ["a", "a.b", "a.b.c"]),
        ("#.c", ["a.b.c"]),
        ("#.b.#", ["a.b", "a.b.c", "b"]),
        ("#.*", ["a", "a.b", "a.b.c", "b"]),
        ("a.#.c", ["a.b.c"]),
        ("", [""]),
        ("[ab]", []),
    ],
)
def test_a_consumer_selects_as_from_a_topic_exchange(pattern: str, keys: list[str]) -> None:
    broker = InMemoryBroker()
    producer, consumer = InMemoryProducer(broker), InMemoryConsumer(broker)
    producer.open("x")
    for number, key in enumerate(["", "a", "a.b", "a.b.c", "b"]):
        message = NotificationMessage(b"{}", "application/json", {}, key)
        producer.send("x", message, "A", number, NOON)
    consumer.select([pattern])
    consumer.open("x")

    found = []
    while message_received := consumer.receive(0):
        found.append(message_received.routing_key)

    assert found == keys


def test_a_message_of_an_earlier_opening_is_refused_with_words_true_of_both_cases() -> None:
    broker = InMemoryBroker()
    producer = InMemoryProducer(broker)
    producer.open("my-bc-app")
    send(producer, 1, 2)
    consumer = InMemoryConsumer(broker)
    consumer.open("my-bc-app")
    done, left = consumer.receive(0), consumer.receive(0)
    assert done is not None
    assert left is not None
    consumer.acknowledge(done)
    consumer.close()
    consumer.open("my-bc-app")
    for message in (done, left):
        with pytest.raises(RuntimeError, match=r"any more\. Unless it had been, it comes again"):
            consumer.acknowledge(message)
    again = consumer.receive(0)
    assert again is not None
    assert again.message_id == left.message_id
    assert consumer.receive(0) is None
