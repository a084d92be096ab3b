"""How events and exchange names look to somebody who doesn't know tidings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.rabbitmq.client import NOON, Client, message, notification, send
from tidings.plugins import (
    BrokerRefusedError,
    Notification,
    NotificationMessage,
    Position,
    UndeliverableEventError,
)
from tidings_rabbitmq.frames import MessageEncoder
from tidings_rabbitmq.producer import RabbitMQProducer
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from tests.rabbitmq.conftest import MakeProducer

OCCURRED_ON = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_every_property_is_where_other_clients_look_for_it(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    body = '{"name":"Jürgen"}'.encode()
    headers = {"aggregate_id": "order-Ü", "metadata": '{"user":"u1"}'}
    producer.open(exchange)
    producer.send(
        exchange,
        NotificationMessage(body, "application/json", headers),
        "Überwiesen",
        4711,
        OCCURRED_ON,
    )
    producer.flush(exchange)

    (seen,) = client.drain(exchange)

    assert seen.body == body
    assert seen.properties.message_id == "4711"
    assert seen.properties.type == "Überwiesen"
    assert seen.properties.timestamp == 1767323045
    assert seen.properties.content_type == "application/json"
    assert seen.properties.app_id == "tidings"
    assert seen.properties.delivery_mode == 2
    assert seen.properties.headers == headers | {"occurred_on": "2026-01-02T03:04:05.000006+00:00"}
    assert seen.routing.exchange == exchange


def test_exchange_and_queue_are_durable_and_a_second_queue_gets_everything_too(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)

    # Declaring what exists with other properties would close the channel.
    client.channel.exchange_declare(exchange, "fanout", durable=True)
    client.channel.queue_declare(exchange, durable=True)
    other = client.channel.queue_declare("", exclusive=True).method.queue
    client.channel.queue_bind(other, exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)

    assert client.ids(exchange) == [1]
    assert client.ids(other) == [1]


@pytest.mark.parametrize(
    "size", [0, 1, 131064, 131065, 1_000_000], ids=["empty", "1", "frame", "frame+1", "1 MB"]
)
def test_a_body_of_any_size_arrives_whole(
    producer: RabbitMQProducer, client: Client, exchange: str, size: int
) -> None:
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    producer.open(exchange)
    send(producer, exchange, 1, body)
    send(producer, exchange, 2, b"next")
    producer.flush(exchange)

    assert [seen.body for seen in client.drain(exchange)] == [body, b"next"]


@pytest.mark.parametrize(
    ("occurred_on", "timestamp", "header"),
    [
        (
            datetime(1815, 6, 18, 11, 35, 0, 1, tzinfo=UTC),
            None,
            "1815-06-18T11:35:00.000001+00:00",
        ),
        (
            datetime(2262, 4, 12, 1, 2, 3, 4, tzinfo=UTC),
            9223376523,
            "2262-04-12T01:02:03.000004+00:00",
        ),
        (
            datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=14))),
            1774701000,
            "2026-03-28T12:30:00.000000+00:00",
        ),
    ],
    ids=["before 1970", "after 2038", "another zone"],
)
def test_any_time_travels_exactly(
    producer: RabbitMQProducer,
    client: Client,
    exchange: str,
    *,
    occurred_on: datetime,
    timestamp: int | None,
    header: str,
) -> None:
    producer.open(exchange)
    producer.send(exchange, message(1), "OrderPlaced", 1, occurred_on)
    producer.flush(exchange)

    (seen,) = client.drain(exchange)

    assert seen.properties.headers["occurred_on"] == header
    assert seen.properties.timestamp == timestamp


def test_messages_after_a_replay_carry_their_generation(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange, Position(0, generation=3))
    send(producer, exchange, 1)
    producer.flush(exchange)

    assert client.drain(exchange)[0].properties.headers["generation"] == 3


@pytest.mark.parametrize(
    ("undeliverable", "type_name", "reason"),
    [
        (message(2), "Ü" * 128, "AMQP holds 255 bytes"),
        (message(2), "\ud800", "not valid text"),
        (NotificationMessage(b"", "text/" + "x" * 255, {}), "T", "AMQP holds 255 bytes"),
        (NotificationMessage(b"", "text/plain", {"x" * 256: ""}), "T", "AMQP holds 255 bytes"),
        (NotificationMessage(b"", "text/plain", {"x": "y" * 131072}), "T", "its headers take"),
        (NotificationMessage(b"", "text/plain", {"occurred_on": ""}), "T", "'occurred_on'"),
    ],
    ids=["long type", "no text", "long content type", "long header name", "headers", "our header"],
)
def test_what_amqp_cannot_hold_is_refused_by_name_and_the_exchange_goes_on(
    producer: RabbitMQProducer,
    client: Client,
    exchange: str,
    *,
    undeliverable: NotificationMessage,
    type_name: str,
    reason: str,
) -> None:
    opened = producer.open(exchange)

    with pytest.raises(UndeliverableEventError, match=reason) as raised:
        opened.send(
            [
                notification(1),
                Notification(undeliverable, type_name, 2, OCCURRED_ON),
                notification(3),
            ]
        )
    opened.send([notification(3)])
    opened.flush()

    assert raised.value.event_id == 2
    assert exchange in str(raised.value)
    assert "event 2 " in str(raised.value)
    assert client.ids(exchange) == [1, 3]
    assert opened.accepted_id() == 3


@pytest.mark.parametrize("name", ["", "x" * 249, "ü" * 125])
def test_a_name_that_amqp_cannot_hold_is_refused_before_connecting(name: str) -> None:
    settings = RabbitMQSettings(url=SecretStr("amqp://nobody.invalid/"))
    producer = RabbitMQProducer(settings)

    with pytest.raises(BrokerRefusedError, match="between 1 and 248 bytes"):
        producer.open(name)


def test_queue_arguments_reach_the_queue(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(queue_arguments={"x-max-length": 2, "x-overflow": "drop-head"})
    producer.open(exchange)
    for event_id in (1, 2, 3):
        send(producer, exchange, event_id)
    producer.flush(exchange)

    assert client.ids(exchange) == [2, 3]


@pytest.mark.parametrize("size", [1, 100_000, 1_000_000])
def test_no_body_is_copied_when_its_message_is_encoded(size: int) -> None:
    encoder = MessageEncoder(1, "shop", 131072, "tidings", Position())
    body = bytes(size)

    made = encoder.encode(message(1)._replace(body=body), "A", 1, NOON)

    views = [memoryview(buffer) for buffer in made]
    assert sum(len(view) for view in views if view.obj is body) == size
