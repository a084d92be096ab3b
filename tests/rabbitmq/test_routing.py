"""Routing keys on a real broker: who gets what, seen by another program."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from pika import exceptions, frame, spec
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tests.rabbitmq.client import NOON, Client, message
from tidings import Tidings, record
from tidings.plugins import (
    BrokerRefusedError,
    Capability,
    NotAcceptedError,
    Position,
    UndeliverableEventError,
)
from tidings.testing import eventually
from tidings_rabbitmq import unroutable, upkeep
from tidings_rabbitmq.consumer import RabbitMQConsumer
from tidings_rabbitmq.frames import MessageEncoder
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings_rabbitmq.producer import RabbitMQProducer

CONFIGURATION = """
[event_store]
url = "sqlite:///{folder}/events.db"

[exchanges."{exchange}"]
producer = "rabbitmq"
routing_key = "shop.{{metadata.tenant:nobody}}.{{type_name}}"
headers = {{ tenant = "metadata.tenant" }}

[producers.rabbitmq]
url = "{url}"
exchange_type = "topic"
queues = {{ "{exchange}.acme" = ["shop.acme.#"], "{exchange}.money" = ["*.*.money.*", "#.lost"] }}
"""

PLACES = [
    ("acme", "order.placed"),
    (None, "order.placed"),
    ("acme", "money.paid"),
    ("umbrella", "money.paid"),
    ("umbrella", "order.lost"),
]


def send(producer: RabbitMQProducer, exchange: str, event_id: int, key: str) -> None:
    sent = message(event_id)._replace(routing_key=key)
    producer.send(exchange, sent, "OrderPlaced", event_id, NOON)


def keys(client: Client, queue: str) -> list[str]:
    return [seen.routing.routing_key for seen in client.drain(queue)]


def test_each_queue_gets_what_its_bindings_say_from_record_to_another_program(
    rabbitmq: StreamBroker, client: Client, exchange: str, tmp_path: Path
) -> None:
    file = tmp_path / "tidings.toml"
    file.write_text(CONFIGURATION.format(folder=tmp_path, exchange=exchange, url=rabbitmq.url))
    client.channel.exchange_declare(exchange, "topic", durable=True)
    theirs = client.channel.queue_declare("", exclusive=True).method.queue
    client.channel.queue_bind(theirs, exchange, "shop.*.order.placed")
    with Tidings.from_file(file, environ={}) as tidings:
        store = tidings.event_store()
        store.create()
        store.close()
        engine = create_engine(f"sqlite:///{tmp_path}/events.db", poolclass=NullPool)
        with Session(engine) as session, session.begin():
            for tenant, type_name in PLACES:
                metadata = {"tenant": tenant} if tenant else None
                record(session, {}, type_name=type_name, metadata=metadata)
        assert tidings.notification_service(exchange).publish_notifications(exchange) == 5

    acme = client.drain(f"{exchange}.acme")
    assert [seen.event_id for seen in acme] == [1, 3]
    assert [seen.routing.routing_key for seen in acme] == [
        "shop.acme.order.placed",
        "shop.acme.money.paid",
    ]
    assert [seen.properties.headers["tenant"] for seen in acme] == ["acme", "acme"]
    assert client.ids(f"{exchange}.money") == [3, 4, 5]
    assert client.ids(theirs) == [1, 2]
    with pytest.raises(exceptions.ChannelClosedByBroker, match="no queue"):
        client.count(exchange)


@pytest.mark.parametrize("key", ["", "a", "shop.Überwiesen", "x" * 255])
def test_a_frame_with_a_routing_key_is_what_pika_makes(key: str) -> None:
    encoder = MessageEncoder(7, "shop", 131072, "tidings", Position())
    publish = spec.Basic.Publish(exchange="shop", routing_key=key, mandatory=True)

    encoded = b"".join(encoder.encode(message(1)._replace(routing_key=key), "A", 1, NOON))

    assert encoded.startswith(frame.Method(7, publish).marshal() + b"\x02\x00\x07")


def test_a_key_that_amqp_cannot_hold_is_poison(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(exchange_type="topic")
    producer.open(exchange)

    with pytest.raises(UndeliverableEventError, match="its routing key does not fit") as caught:
        send(producer, exchange, 1, "x" * 256)
    send(producer, exchange, 2, "x" * 255)
    producer.flush(exchange)

    assert caught.value.event_id == 1
    assert client.ids(exchange) == [2]


@pytest.mark.parametrize("exchange_type", ["fanout", "topic", "headers"])
def test_the_exchanges_own_queue_gets_everything_unless_it_is_told(
    make_producer: MakeProducer, client: Client, exchange: str, exchange_type: str
) -> None:
    producer = make_producer(exchange_type=exchange_type)
    producer.open(exchange)
    for event_id, key in enumerate(["", "a", "a.b"], 1):
        send(producer, exchange, event_id, key)
    producer.flush(exchange)

    assert keys(client, exchange) == ["", "a", "a.b"]


def test_a_direct_exchange_hands_over_by_the_whole_key(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    queues = {f"{exchange}.paid": ["paid"], f"{exchange}.both": []}
    producer = make_producer(exchange_type="direct", queues=queues, bindings=["paid", "placed"])
    producer.open(exchange)
    for event_id, key in enumerate(["paid", "placed", "paid"], 1):
        send(producer, exchange, event_id, key)
    producer.flush(exchange)

    assert client.ids(f"{exchange}.paid") == [1, 3]
    assert client.ids(f"{exchange}.both") == [1, 2, 3]


def test_a_headers_exchange_hands_over_by_headers(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    client.channel.exchange_declare(exchange, "headers", durable=True)
    theirs = client.channel.queue_declare("", exclusive=True).method.queue
    client.channel.queue_bind(theirs, exchange, arguments={"x-match": "all", "tenant": "acme"})
    producer = make_producer(exchange_type="headers")
    producer.open(exchange)
    for event_id, tenant in enumerate(["acme", "umbrella"], 1):
        sent = message(event_id)._replace(headers={"tenant": tenant})
        producer.send(exchange, sent, "OrderPlaced", event_id, NOON)
    producer.flush(exchange)

    assert client.ids(theirs) == [1]
    assert client.ids(exchange) == [1, 2]


def test_a_key_that_no_queue_is_bound_with_is_an_error(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(exchange_type="topic", bindings=["shop.#"])
    producer.open(exchange)
    send(producer, exchange, 1, "shop.paid")
    send(producer, exchange, 2, "shpo.paid")

    with pytest.raises(NotAcceptedError, match=r"event 2: .*, with the routing key 'shpo.paid'"):
        producer.flush(exchange)

    assert producer.accepted_id(exchange) == 1
    assert client.ids(exchange) == [1]


def test_what_is_refused_again_and_again_has_nothing_behind_it_sent_again_each_time(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(exchange_type="topic", bindings=["paid"])

    def send_from(first: int) -> int:
        """Send the rest as a relay does; return up to where it was accepted."""
        producer.open(exchange, Position(first - 1))
        try:
            for event_id in range(first, 401):
                send(producer, exchange, event_id, "lost" if event_id in {10, 20} else "paid")
            producer.flush(exchange)
        except NotAcceptedError:
            return producer.accepted_id(exchange) or first - 1
        finally:
            producer.close(exchange)
        return 400

    assert send_from(1) == 9
    once_more = len(client.ids(exchange))
    assert 9 <= once_more <= 400
    assert [send_from(10) for _ in range(3)] == [9, 9, 9]
    assert client.ids(exchange) == []
    client.channel.queue_bind(exchange, exchange, "lost")
    assert send_from(10) == 400
    assert client.ids(exchange) == list(range(10, 401))


def test_or_it_is_counted_and_passed(
    make_producer: MakeProducer,
    client: Client,
    exchange: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.WARNING, "tidings")
    monkeypatch.setattr(unroutable, "TELL_SECONDS", 1000)
    producer = make_producer(exchange_type="topic", bindings=["shop.#"], unroutable="ignore")
    assert Capability.UNROUTABLE not in producer.capabilities
    opened = producer.open(exchange)
    for event_id in range(1, 11):
        send(producer, exchange, event_id, "shop.paid" if event_id % 2 else "other")
    producer.flush(exchange)

    assert producer.accepted_id(exchange) == 10
    assert opened.unroutable_count() == 5
    producer.close(exchange)
    assert client.ids(exchange) == [1, 3, 5, 7, 9]
    assert [entry.getMessage() for entry in caplog.records] == [
        f"{exchange}: 1 event(s) reached no queue, the last is event 2 (unroutable = 'ignore')",
        f"{exchange}: 5 event(s) reached no queue (unroutable = 'ignore')",
    ]


def test_an_exchange_without_queues_of_ours_makes_none(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(exchange_type="topic", queues=[], unroutable="ignore")
    producer.open(exchange)
    send(producer, exchange, 1, "a")
    producer.flush(exchange)

    with pytest.raises(exceptions.ChannelClosedByBroker, match="no queue"):
        client.count(exchange)


def test_what_is_bound_is_looked_after_with_its_keys(
    make_producer: MakeProducer, client: Client, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.1)
    one, two = f"{exchange}.one", f"{exchange}.two"
    queues = {one: ["a", "b"], two: ["b"]}
    producer = make_producer(exchange_type="topic", queues=queues, unroutable="ignore")
    producer.open(exchange)
    client.channel.queue_unbind(one, exchange, "b")
    client.channel.queue_unbind(two, exchange, "b")
    for event_id in range(1, 1000):
        send(producer, exchange, event_id, "b")
        producer.flush(exchange)
        producer.wait(exchange, 0.02)
        if client.count(one) and client.count(two):
            break
    assert keys(client, two)[0] == keys(client, one)[0] == "b"

    client.channel.queue_delete(two)
    with pytest.raises(NotAcceptedError, match=f"no queue '{two}'"):
        producer.wait(exchange, 20)


@pytest.fixture
def restricted(rabbitmq: StreamBroker, exchange: str) -> str:
    """Give the URL of a user who may make nothing."""
    return rabbitmq.add_user(exchange, "secret", configure="^$", write=".*", read=".*")


@pytest.fixture
def made(client: Client, exchange: str) -> str:
    """Let an administrator make an exchange, a subscriber's queue and the lock's."""
    channel, queue = client.channel, f"{exchange}.billing"
    channel.exchange_declare(exchange, "topic", durable=True)
    channel.queue_declare(f"{exchange}.relay", durable=True, arguments={"x-queue-type": "classic"})
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, exchange, "#")
    return queue


@pytest.mark.parametrize("topology", ["check", "none"])
def test_a_user_who_may_make_nothing_publishes_and_reads(
    make_producer: MakeProducer, restricted: str, made: str, exchange: str, topology: str
) -> None:
    options: dict[str, Any] = {"url": restricted, "topology": topology, "queues": [made]}
    producer, second = make_producer(**options), make_producer(**options)
    producer.open(exchange)
    send(producer, exchange, 1, "shop.paid")
    producer.flush(exchange)
    with pytest.raises(Exception, match="another publisher holds it"):
        second.open(exchange)

    consumer = RabbitMQConsumer(RabbitMQSettings(**options), None)
    assert consumer.capabilities == {Capability.PARTITIONS}
    consumer.open(exchange)
    received = consumer.receive(20)
    consumer.close()
    assert received
    assert (received.message_id, received.routing_key) == ("1", "shop.paid")


@pytest.mark.parametrize("gone", ["", ".billing", ".relay"])
def test_what_is_not_there_is_named_and_not_made(
    make_producer: MakeProducer, client: Client, made: str, exchange: str, gone: str
) -> None:
    if gone:
        client.channel.queue_delete(exchange + gone)
    else:
        client.channel.exchange_delete(exchange)

    with pytest.raises(
        BrokerRefusedError, match=f"no (queue|exchange) '{exchange}{gone}'"
    ) as caught:
        make_producer(topology="check", queues=[made]).open(exchange)

    assert "With topology = 'check' nothing is made: let an administrator make it." in str(
        caught.value
    )


def test_a_lock_that_nobody_may_make_can_be_done_without(
    make_producer: MakeProducer, client: Client, restricted: str, made: str, exchange: str
) -> None:
    client.channel.queue_delete(f"{exchange}.relay")
    producer = make_producer(url=restricted, topology="none", lock=False)
    producer.open(exchange)
    send(producer, exchange, 1, "a")
    producer.flush(exchange)

    assert client.ids(made) == [1]


def test_an_exchange_that_goes_away_under_a_relay_without_a_look_is_named(
    make_producer: MakeProducer, restricted: str, exchange: str
) -> None:
    producer = make_producer(url=restricted, topology="none", lock=False)
    producer.open(exchange)

    send(producer, exchange, 1, "a")

    with pytest.raises(BrokerRefusedError, match="With topology = 'none' nothing is made"):
        producer.flush(exchange)


def consumer_of(rabbitmq: StreamBroker, subscriber: str | None, **options: Any) -> RabbitMQConsumer:
    settings: dict[str, Any] = {"url": rabbitmq.url, "exchange_type": "topic"} | options
    return RabbitMQConsumer(RabbitMQSettings(**settings), subscriber)


def test_a_subscriber_without_a_name_leaves_nothing_behind(
    rabbitmq: StreamBroker, make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    consumer = consumer_of(rabbitmq, None)
    consumer.select(["shop.*", "other"])
    consumer.open(exchange)
    producer = make_producer(exchange_type="topic")
    producer.open(exchange)
    for event_id, key in enumerate(["shop.paid", "shop.paid.late", "other"], 1):
        send(producer, exchange, event_id, key)
    producer.flush(exchange)

    got = [received.routing_key for _ in range(2) if (received := consumer.receive(20))]
    assert got == ["shop.paid", "other"]
    consumer.close()
    eventually(lambda: "amq.gen" not in rabbitmq.ctl("list_queues", "name"), "the queue goes", 20)
    assert client.count(exchange) == 3


def test_a_subscriber_is_bound_as_the_settings_say_or_as_it_asks(
    rabbitmq: StreamBroker, make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    named, asking = f"{exchange}.named", f"{exchange}.asking"
    queues = {named: ["a"]}
    for consumer, selected in [
        (consumer_of(rabbitmq, None, queues=queues), []),
        (consumer_of(rabbitmq, asking, queues=queues), ["b"]),
    ]:
        if selected:
            consumer.select(selected)
        consumer.open(exchange)
        consumer.close()
    producer = make_producer(exchange_type="topic", queues=[], unroutable="ignore")
    producer.open(exchange)
    for event_id, key in enumerate(["a", "b", "c"], 1):
        send(producer, exchange, event_id, key)
    producer.flush(exchange)

    assert (keys(client, named), keys(client, asking)) == (["a"], ["b"])


def test_a_queue_of_a_direct_exchange_without_keys_is_a_question(
    rabbitmq: StreamBroker, exchange: str
) -> None:
    consumer = consumer_of(rabbitmq, "billing", exchange_type="direct", queues=[])

    with pytest.raises(BrokerRefusedError, match="which routing keys is the queue 'billing' for"):
        consumer.open(exchange)
