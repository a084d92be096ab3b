"""A copy of our database whose relay publishes to the same stream: under the same name, that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.producers import closing
from tests.rabbitmq.client import Client, send
from tidings.plugins import (
    Accepted,
    ExchangeLockedError,
    Notification,
    NotificationMessage,
    OpenExchange,
    Position,
)
from tidings.testing import samples
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.servers.given import StreamBroker

    Make = Callable[[], RabbitMQStreamProducer]

STORE = Position(0, 0, "store-1")


@pytest.fixture
def make(rabbitmq: StreamBroker) -> Iterator[Make]:
    def make() -> RabbitMQStreamProducer:
        return RabbitMQStreamProducer(RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url)))

    yield from closing(make)


def events(whose: str, ids: Sequence[int], partition: int | None = None) -> Sequence[Notification]:
    message = NotificationMessage(whose.encode(), "text/plain", {}, partition=partition)
    return [samples.notification(each)._replace(message=message) for each in ids]


def send_and_flush(opened: OpenExchange, notifications: Sequence[Notification]) -> None:
    opened.send(notifications)
    opened.flush()


@pytest.mark.parametrize("partitions", [0, 4])
def test_what_would_be_dropped_for_a_copys_events_is_not_taken_for_accepted(
    make: Make, client: Client, exchange: str, *, partitions: int
) -> None:
    original, copy = make(), make()
    ours = original.open(exchange, STORE, partitions=partitions)
    theirs = copy.open(exchange, STORE, partitions=partitions)
    assert original.most_recent_accepted(exchange) is None
    partition, stream = (1, f"{exchange}-1") if partitions else (None, exchange)
    ours.send(events("common", [1, 2], partition))
    ours.flush()
    theirs.most_recent_accepted()
    ours.send(events("ours", [3, 4], partition))
    ours.flush()

    with pytest.raises(ExchangeLockedError, match="event 4 from somebody else"):
        send_and_flush(theirs, events("theirs", [3, 4, 5], partition))

    assert theirs.accepted_id() is None
    bodies = [seen.body for seen in client.stream(stream, 4)]
    assert bodies == [b"common", b"common", b"ours", b"ours"]


def test_who_opens_anew_is_told_what_the_other_one_sent(make: Make, exchange: str) -> None:
    original, copy = make(), make()
    ours, theirs = original.open(exchange, STORE), copy.open(exchange, STORE)
    ours.send(events("ours", [1, 2]))
    ours.flush()
    with pytest.raises(ExchangeLockedError):
        send_and_flush(theirs, events("theirs", [1]))

    copy.close(exchange)
    copy.open(exchange, STORE)

    remembered = copy.most_recent_accepted(exchange)
    assert isinstance(remembered, Accepted)
    assert (remembered.event_id, remembered.store) == (2, "store-1")


def test_what_we_sent_ourselves_is_no_reason(make: Make, client: Client, exchange: str) -> None:
    producer = make()
    producer.open(exchange, STORE)
    for event_id in range(1, 2001):  # many pieces, and as many questions as there is time for
        send(producer, exchange, event_id)
    producer.flush(exchange)
    send(producer, exchange, 2001)
    producer.flush(exchange)

    assert producer.accepted_id(exchange) == 2001
    assert [seen.event_id for seen in client.stream(exchange, 2001)] == list(range(1, 2002))
