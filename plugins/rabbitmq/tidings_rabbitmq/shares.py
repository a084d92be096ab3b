"""The partitions of a subscriber that one consumer reads, shared with its other consumers.

Each partition is a queue with a single active consumer. The broker gives its messages to one of
those that registered, and to the next one if that goes. So whoever comes first would have all of
them. Therefore each consumer looks how many there are, and lets go of what is more than its share.
It acknowledges what it has in hand, and closes the channel of that partition. The broker then puts
what it had sent ahead back to its place in the queue. The consumer registers again, behind the
others.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pika import exceptions

from tidings.plugins import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pika.channel import Channel

    from tidings_rabbitmq.connection import AmqpConnection

LOOK_SECONDS = 2.0
"""Between two looks at how many consumers there are."""


class PartitionReader:
    """One partition's queue, on a channel of its own."""

    def __init__(self, partition: int, queue_name: str) -> None:
        self.partition = partition
        self.queue_name = queue_name
        self.channel: Channel | None = None
        self.is_active = False
        """Whether a message came since: then the broker gives us all of them."""
        self.leaving = False
        self.in_hand: set[int] = set()
        """Delivery tags of what the caller has, and hasn't acknowledged."""
        self.consumers = 1


class Shares:
    """Reads some queues, and lets go of those that are more than its share.

    ``on_message`` is called with the reader and what pika gives. ``on_release`` is called with a
    reader whose messages that are not in anybody's hand go back to the queue.
    """

    def __init__(
        self,
        connection: AmqpConnection,
        queues: Mapping[int, str],
        prefetch: int,
        *,
        on_message: Callable[[PartitionReader, Any, Any, bytes], None],
        on_release: Callable[[PartitionReader], None],
        on_cancelled: Callable[[str], None],
    ) -> None:
        self.readers = [PartitionReader(*each) for each in queues.items()]
        self._connection = connection
        self._prefetch = max(prefetch // len(self.readers), 1)
        self._on_message = on_message
        self._on_release = on_release
        self._on_cancelled = on_cancelled

    def open(self) -> None:
        """Register with every queue, and begin to look after the share."""
        for reader in self.readers:
            answers: list[Any] = []
            self._register(reader, answers.append)
            self._connection.wait_for(answers, "basic.consume")
        self._connection.call_later(LOOK_SECONDS, self._look)

    def acknowledge(self, reader: PartitionReader, tag: int) -> None:
        """Acknowledge a message; the last one in hand of a partition that we let go of ends it."""
        if reader.channel is None or tag not in reader.in_hand:
            raise RuntimeError("That message was acknowledged before.")
        self._connection.start(reader.channel.basic_ack, tag)
        reader.in_hand.discard(tag)
        if reader.leaving and not reader.in_hand:
            self._close(reader)

    def _register(self, reader: PartitionReader, registered: Callable[[object], None]) -> None:
        reader.is_active = reader.leaving = False
        self._connection.open_another(
            partial(self._set_up, reader, registered), partial(self._on_closed, reader)
        )

    def _set_up(
        self, reader: PartitionReader, registered: Callable[[object], None], channel: Channel
    ) -> None:
        reader.channel = channel
        channel.add_on_cancel_callback(lambda _frame: self._on_cancelled(reader.queue_name))
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(
            reader.queue_name, partial(self._deliver, reader), callback=registered
        )

    def _deliver(
        self, reader: PartitionReader, channel: object, method: Any, properties: Any, body: bytes
    ) -> None:
        if reader.leaving or channel is not reader.channel:
            return  # it goes back with the channel
        reader.is_active = True
        self._on_message(reader, method, properties, body)

    def _look(self) -> None:
        """Ask for the number of consumers of each queue, then let go of what is too much."""
        waiting = {reader.partition for reader in self.readers}

        def answered(reader: PartitionReader, answer: Any) -> None:
            reader.consumers = max(int(answer.method.consumer_count), 1)
            waiting.discard(reader.partition)
            if not waiting:
                self._let_go()
                self._connection.call_later(LOOK_SECONDS, self._look)

        channel = self._connection.channel
        with suppress(DeliveryError):  # it is kept, and raised by the next call
            for reader in self.readers:
                done = partial(answered, reader)
                self._connection.start(
                    channel.queue_declare, reader.queue_name, passive=True, callback=done
                )

    def _let_go(self) -> None:
        active = [reader for reader in self.readers if reader.is_active and not reader.leaving]
        for reader in active[share(reader.consumers for reader in self.readers) :]:
            reader.leaving = True
            self._on_release(reader)
            if not reader.in_hand:
                self._close(reader)

    def _close(self, reader: PartitionReader) -> None:
        channel, reader.channel = reader.channel, None
        if channel is not None:
            self._connection.close_channel(channel)

    def _on_closed(self, reader: PartitionReader, _channel: object, error: BaseException) -> None:
        if not (isinstance(error, exceptions.ChannelClosedByClient) and reader.leaving):
            self._connection.fail(error)
            return
        with suppress(DeliveryError):  # as above
            self._register(reader, lambda _frame: None)


def share(consumers: Iterable[int]) -> int:
    """Return how many partitions are one consumer's, of those with so many consumers each."""
    return math.ceil(sum(1 / each for each in consumers) - 1e-9)
