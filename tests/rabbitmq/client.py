"""RabbitMQ as another program sees it: pika's blocking client, without a line of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pika

from tidings.plugins import MessageProducer, Notification, NotificationMessage

if TYPE_CHECKING:
    from types import TracebackType

    from pika.adapters.blocking_connection import BlockingChannel

SILENCE_SECONDS = 10.0
NOON = datetime(2026, 1, 2, 12, 0, 0, 6, tzinfo=UTC)


class Seen(NamedTuple):
    """One message as it lay in the queue."""

    properties: Any
    body: bytes
    routing: Any

    @property
    def event_id(self) -> int:
        return int(self.properties.message_id)


class Client:
    """A connection of its own."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel: BlockingChannel = self._connection.channel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection.is_open:
            self._connection.close()

    def renew(self) -> None:
        """Go on after a call for which the broker has closed the channel."""
        self.channel = self._connection.channel()

    def drain(self, queue: str) -> list[Seen]:
        """Take everything out of the queue, in order."""
        count = self.count(queue)
        self.channel.basic_qos(prefetch_count=1000)
        seen = []
        if count:
            for method, properties, body in self.channel.consume(queue, auto_ack=True):
                seen.append(Seen(properties, body, method))
                if len(seen) == count:
                    break
            self.channel.cancel()
        return seen

    def stream(self, name: str, count: int) -> list[Seen]:
        """Read a stream from its first message on, until ``count`` have come or none come."""
        self.channel.basic_qos(prefetch_count=1000)
        seen: list[Seen] = []
        first = {"x-stream-offset": "first"}
        for method, properties, body in self.channel.consume(
            name, arguments=first, inactivity_timeout=SILENCE_SECONDS
        ):
            if method is None:
                break
            seen.append(Seen(properties, body, method))
            self.channel.basic_ack(method.delivery_tag)
            if len(seen) == count:
                break
        self.channel.cancel()
        return seen

    def ids(self, queue: str) -> list[int]:
        """Take everything out of the queue; return the event ids in order."""
        return [seen.event_id for seen in self.drain(queue)]

    def count(self, queue: str) -> int:
        """Return how many messages wait in the queue."""
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)


def message(event_id: int, body: bytes | None = None) -> NotificationMessage:
    """Return a message whose body tells its id."""
    return NotificationMessage(
        b'{"number":%d}' % event_id if body is None else body, "application/json", {}
    )


def notification(event_id: int, body: bytes | None = None) -> Notification:
    """Return the event of that id."""
    occurred_on = NOON + timedelta(seconds=event_id % 1000)
    return Notification(message(event_id, body), "OrderPlaced", event_id, occurred_on)


def send(
    producer: MessageProducer, exchange: str, event_id: int, body: bytes | None = None
) -> None:
    """Send the event of that id."""
    producer.send(exchange, *notification(event_id, body))
