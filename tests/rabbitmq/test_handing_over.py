"""A partition goes from one consumer to the next in order, whatever is published meanwhile."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from pika.channel import Channel
from pydantic import SecretStr

from tests.rabbitmq.client import NOON, message
from tidings.testing import eventually
from tidings_rabbitmq import shares
from tidings_rabbitmq.consumer import RabbitMQConsumer
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_rabbitmq.shares import share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings.plugins import ReceivedMessage


class Stage:
    """Two consumers of one subscriber. The first holds all partitions, and events of each."""

    def __init__(
        self, make_producer: MakeProducer, url: str, exchange: str, queue_type: str
    ) -> None:
        arguments: Any = {"queue_arguments": {"x-queue-type": queue_type}}
        self._exchange = exchange
        self._producer = make_producer(**arguments)
        self._producer.open(exchange, partitions=2)
        settings = RabbitMQSettings(url=SecretStr(url), **arguments)
        self.first, self.second = (RabbitMQConsumer(settings, None) for _ in range(2))
        for each in (self.first, self.second):
            each.select_partitions([], 2)
            each.open(exchange)
        self.publish(range(1, 9))

    def publish(self, event_ids: Iterable[int]) -> None:
        for each in event_ids:
            sent = message(each)._replace(partition=each % 2, routing_key="")
            self._producer.send(self._exchange, sent, "OrderPlaced", each, NOON)
        self._producer.flush(self._exchange)

    def comes_to_the_second(self, count: int) -> dict[int | None, list[str]]:
        """Return the ids that came, by partition."""
        came: defaultdict[int | None, list[str]] = defaultdict(list)

        def all_came() -> bool:
            received = self.second.receive(0.1)
            if received is not None:
                came[received.partition].append(received.message_id)
            return sum(map(len, came.values())) == count

        eventually(all_came, f"{count} messages", 20)
        return came


@pytest.fixture
def queue_type() -> str:
    return "classic"


@pytest.fixture
def stage(
    queue_type: str,
    rabbitmq: StreamBroker,
    make_producer: MakeProducer,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    monkeypatch.setattr(shares, "LOOK_SECONDS", 0.1)
    stage = Stage(make_producer, rabbitmq.url, exchange, queue_type)
    yield stage
    stage.first.close()
    stage.second.close()


def publish_when_cancelled(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, event_ids: Iterable[int]
) -> Callable[[], None]:
    """Publish as soon as the broker knows of a cancelled consumer; return what does so at last."""
    left = list(event_ids)
    loop = stage.first._opening.connection._loop  # noqa: SLF001 - it works on while we are within
    cancel = Channel.basic_cancel

    def publish() -> None:
        stage.publish(left)
        left.clear()

    def cancel_and_publish(channel: Channel, *positional: Any, **named: Any) -> Any:
        if not left:
            return cancel(channel, *positional, **named)
        answers: list[object] = []
        name = cancel(channel, *positional, **{**named, "callback": answers.append})
        while not answers:
            loop.step(0.05)
        publish()
        return name

    monkeypatch.setattr(Channel, "basic_cancel", cancel_and_publish)
    return publish


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_nothing_overtakes_what_a_consumer_that_closes_gives_back(
    monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    assert stage.first.receive(20)
    stage.first.wait(0.2)  # for what is sent ahead
    publish = publish_when_cancelled(monkeypatch, stage, range(9, 13))
    stage.first.close()
    publish()

    assert stage.comes_to_the_second(12) == {
        0: ["2", "4", "6", "8", "10", "12"],
        1: ["1", "3", "5", "7", "9", "11"],
    }


def test_nothing_overtakes_what_a_consumer_gives_back_with_a_partition_too_many(
    monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    first, found = stage.first, list[int]()

    def share_once_one_is_in_hand(consumers: Iterable[int]) -> int:
        if not in_hand:
            return 2
        found.append(share(consumers))
        return found[-1]

    def lets_go() -> bool:
        first.wait(0.05)
        return 1 in found

    in_hand: list[ReceivedMessage] = []
    monkeypatch.setattr(shares, "share", share_once_one_is_in_hand)
    while (received := first.receive(20)) and received.partition == 0:
        first.acknowledge(received)
    assert received
    in_hand.append(received)
    eventually(lets_go, "it has one partition too many", 20)
    publish = publish_when_cancelled(monkeypatch, stage, [9, 11])
    first.acknowledge(received)
    publish()
    first.wait(0.1)

    assert stage.comes_to_the_second(5) == {1: ["3", "5", "7", "9", "11"]}
