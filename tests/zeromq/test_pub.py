"""The lossy word: what it does deliver, and that it says what it does not."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import zmq
from pydantic import SecretStr

from tests.servers.process import wait_for
from tests.zeromq.events import EXCHANGE, event
from tidings.plugins import ExchangeLockedError, UndeliverableEventError
from tidings_zeromq.pub.consumer import SubMessageConsumer
from tidings_zeromq.pub.producer import PubMessageProducer
from tidings_zeromq.pub.settings import PubSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.plugins import ReceivedMessage


@pytest.fixture
def settings(address: str) -> PubSettings:
    return PubSettings(bind=address)


@pytest.fixture
def producer(settings: PubSettings) -> Iterator[PubMessageProducer]:
    producer = PubMessageProducer(settings)
    producer.open(EXCHANGE)
    yield producer
    producer.close(EXCHANGE)


@pytest.fixture
def consumer(settings: PubSettings) -> Iterator[SubMessageConsumer]:
    consumer = SubMessageConsumer(settings)
    consumer.open(EXCHANGE)
    yield consumer
    consumer.close()


def _send_until_heard(producer: PubMessageProducer, consumer: SubMessageConsumer) -> None:
    def heard() -> bool:
        producer.send(EXCHANGE, *event(1))
        producer.wait(EXCHANGE, 0.02)
        return consumer.receive(0.02) is not None

    wait_for(heard, "the subscription", 10)
    while consumer.receive(0.2):
        pass


def _receive(consumer: SubMessageConsumer) -> ReceivedMessage:
    message = consumer.receive(5)
    assert message is not None
    return message


def test_who_listens_gets_everything_in_order(
    producer: PubMessageProducer, consumer: SubMessageConsumer
) -> None:
    _send_until_heard(producer, consumer)
    for event_id in range(2, 1002):
        producer.send(EXCHANGE, *event(event_id))
    producer.flush(EXCHANGE)
    received = [_receive(consumer) for _ in range(1000)]

    assert [int(message.message_id) for message in received] == list(range(2, 1002))
    assert producer.accepted_id(EXCHANGE) == 1001
    first, sent = received[0], event(2)
    assert (first.type_name, first.body) == (sent.type_name, sent.message.body)
    assert (first.occurred_on, first.headers) == (sent.occurred_on, sent.message.headers)
    assert first.content_type == sent.message.content_type


def test_the_topic_is_the_type_name_and_the_frames_are_plain(
    producer: PubMessageProducer, address: str
) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(b"OrderShipped")
        subscriber.connect(address)

        def heard() -> bool:
            producer.send(EXCHANGE, *event(1))
            producer.send(EXCHANGE, *event(2)._replace(type_name="OrderShipped"))
            return bool(subscriber.poll(50))

        wait_for(heard, "the subscription", 10)
        frames = subscriber.recv_multipart()

    assert frames == [
        b"OrderShipped",
        b"2",
        b"2026-01-02T03:04:05.000008+00:00",
        b"application/json",
        b'{"aggregate_id": "order-2"}',
        b'{"number":2}',
    ]


def test_nobody_listening_is_no_error(producer: PubMessageProducer) -> None:
    producer.send(EXCHANGE, *event(1))
    producer.flush(EXCHANGE)

    assert producer.accepted_id(EXCHANGE) == 1


def test_an_event_that_cannot_be_encoded_leaves_the_exchange_usable(
    producer: PubMessageProducer, consumer: SubMessageConsumer
) -> None:
    _send_until_heard(producer, consumer)
    with pytest.raises(UndeliverableEventError, match="event 2"):
        producer.send(EXCHANGE, *event(2)._replace(type_name="\ud800"))
    producer.send(EXCHANGE, *event(3))

    assert _receive(consumer).message_id == "3"


def test_a_taken_address_is_an_error(producer: PubMessageProducer, settings: PubSettings) -> None:
    second = PubMessageProducer(settings)
    with pytest.raises(ExchangeLockedError, match="is taken"):
        second.open("other")
    second.close("other")


def test_it_can_be_opened_again(producer: PubMessageProducer, consumer: SubMessageConsumer) -> None:
    producer.close(EXCHANGE)
    assert producer.accepted_id(EXCHANGE) is None
    producer.open(EXCHANGE)
    with pytest.raises(RuntimeError, match="open already"):
        producer.open(EXCHANGE)

    _send_until_heard(producer, consumer)


def test_rubbish_is_passed_over(settings: PubSettings, consumer: SubMessageConsumer) -> None:
    good = [b"T", b"7", b"2026-01-02T03:04:05+00:00", b"", b"{}", b""]
    bad = [[b""], [b"T", b"x", *good[2:]], [*good[:4], b"[]", b""], [*good[:2], b"now", *good[3:]]]
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.linger = 0
        publisher.bind(settings.bind)
        received: list[ReceivedMessage] = []

        def heard() -> bool:
            for frames in [*bad, good]:
                publisher.send_multipart(frames)
            message = consumer.receive(0.05)
            received.extend([message] if message else [])
            return len(received) > 1

        wait_for(heard, "the good ones", 10)

    assert {message.message_id for message in received} == {"7"}


def test_an_encrypted_subscriber_is_served_and_a_stranger_is_not(address: str) -> None:
    relay_public, relay_secret = (key.decode() for key in zmq.curve_keypair())
    public, secret = (key.decode() for key in zmq.curve_keypair())
    _, stranger_secret = (key.decode() for key in zmq.curve_keypair())
    settings = PubSettings(
        bind=address, curve_secret_key=SecretStr(relay_secret), curve_clients=[public]
    )
    producer = PubMessageProducer(settings)
    producer.open(EXCHANGE)
    consumers = [
        SubMessageConsumer(
            PubSettings(
                bind=address,
                curve_public_key=relay_public,
                curve_client_secret_key=SecretStr(key),
            )
        )
        for key in (stranger_secret, secret)
    ]
    stranger, friend = consumers
    try:
        for each in consumers:
            each.open(EXCHANGE)
        _send_until_heard(producer, friend)
        assert stranger.receive(0.2) is None
    finally:
        for each in consumers:
            each.close()
        producer.close(EXCHANGE)


def test_finding_the_plugins_imports_no_zmq() -> None:
    code = (
        "import sys, tidings_zeromq, tidings_zeromq.plugin, tidings_zeromq.pub.plugin\n"
        "list(tidings_zeromq.plugin.tidings_message_producers())\n"
        "list(tidings_zeromq.pub.plugin.tidings_message_producers())\n"
        "sys.exit('zmq' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
