"""Streams: a subscriber gets the routing keys that it asks for; its place moves over the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.rabbitmq.client import notification
from tidings_rabbitmq.stream.consumer import RabbitMQStreamConsumer
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.progress import STORE_EVERY_PASSED, Progress
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.servers.given import StreamBroker

    Publish = Callable[[int, int], None]
    Read = Callable[..., list[int]]

PAID = "shop.paid"
KEYS = (PAID, "shop.placed", "billing")


@pytest.fixture
def settings(rabbitmq: StreamBroker) -> RabbitMQStreamSettings:
    return RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url))


@pytest.fixture
def publish(settings: RabbitMQStreamSettings, exchange: str) -> Iterator[Publish]:
    """Give a function that publishes events of some ids: every third one has each of the keys."""
    producer = RabbitMQStreamProducer(settings)
    opened = producer.open(exchange)

    def publish(first: int, last: int) -> None:
        each = map(notification, range(first, last + 1))
        opened.send(
            [
                one._replace(message=one.message._replace(routing_key=KEYS[one.event_id % 3]))
                for one in each
            ]
        )
        opened.flush()

    yield publish
    producer.close(exchange)


@pytest.fixture
def read(settings: RabbitMQStreamSettings, exchange: str) -> Read:
    """Give a function that returns the ids which a subscriber gets until nothing comes."""

    def read(keys: Sequence[str], acknowledge: int = 1000) -> list[int]:
        consumer = RabbitMQStreamConsumer(settings, "billing")
        consumer.select(keys)
        consumer.open(exchange)
        ids: list[int] = []
        while message := consumer.receive(0.5):
            assert message.routing_key == KEYS[int(message.message_id) % 3]
            ids.append(int(message.message_id))
            if len(ids) <= acknowledge:
                consumer.acknowledge(message)
        consumer.close()
        return ids

    return read


def test_what_was_asked_for_comes_and_the_rest_never_again(publish: Publish, read: Read) -> None:
    publish(1, 3000)
    assert read([PAID]) == [*range(3, 3001, 3)]

    publish(3001, 3006)
    assert read(["shop.*"]) == [3001, 3003, 3004, 3006], (
        "nothing of before, though it is wanted now"
    )


def test_the_place_moves_if_nothing_is_wanted(publish: Publish, read: Read) -> None:
    publish(1, 300)
    assert read(["nobody.*"]) == []

    publish(301, 303)
    assert read(["#"]) == [301, 302, 303]


def test_what_is_not_acknowledged_comes_again_and_all_that_is_wanted_behind_it(
    publish: Publish, read: Read
) -> None:
    publish(1, 30)
    assert read([PAID], acknowledge=4) == [*range(3, 31, 3)]
    assert read([PAID]) == [*range(15, 31, 3)]


def test_the_place_is_before_what_is_not_acknowledged_however_much_is_passed_behind_it() -> None:
    progress = Progress()
    progress.pass_by(7)
    assert progress.to_store(now=True) == 7
    progress.receive(8)
    progress.receive(9)
    progress.pass_by(10)
    progress.pass_by(11)
    assert progress.to_store(now=True) is None
    progress.acknowledge(9)
    assert progress.to_store(now=True) is None
    progress.acknowledge(8)
    assert progress.to_store(now=True) == 11


def test_the_place_is_stored_now_and_then_while_everything_is_passed() -> None:
    progress, stored = Progress(), []

    for each in range(25_000):
        progress.pass_by(each)
        stored.append(progress.to_store(now=False))

    assert [each for each in stored if each] == [STORE_EVERY_PASSED - 1, 2 * STORE_EVERY_PASSED - 1]
