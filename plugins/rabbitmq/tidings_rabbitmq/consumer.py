"""The ``rabbitmq`` consumer."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    Capability,
    MessageConsumer,
    Opening,
    ReceivedMessage,
)
from tidings_rabbitmq.connection import AmqpConnection
from tidings_rabbitmq.foreign import moment, text
from tidings_rabbitmq.frames import OCCURRED_ON, STORE
from tidings_rabbitmq.given_back import GivenBack
from tidings_rabbitmq.layout import PARTITION, QueueLayout, queue_of
from tidings_rabbitmq.loop import Loop
from tidings_rabbitmq.shares import PartitionReader, Shares
from tidings_rabbitmq.topology import (
    check_name,
    declare_passing,
    not_ours_to_make,
    prepare,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_rabbitmq.settings import RabbitMQSettings


class RabbitMQConsumer(MessageConsumer):
    """Reads a durable queue that is bound to the exchange, acknowledging by hand.

    Without a subscriber's name the queue is the first of the setting ``queues``, else the one named
    like the exchange. With one, the queue has that very name. Whoever selects routing keys without
    a name gets a queue that is gone when it is closed.

    Of an exchange that is parted, a subscriber has a queue for each partition. The consumers of one
    subscriber share them, each partition with one at a time, and take over from one that is gone.
    """

    def __init__(self, settings: RabbitMQSettings, subscriber: str | None) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._received: deque[ReceivedMessage] = deque()
        self._opening = Opening[AmqpConnection]()
        self._selected: Sequence[str] = ()
        self._partitions: Sequence[int] = ()
        self._of = 0
        self._shares: Shares | None = None
        self._given_back: GivenBack
        # A binding is something that is made.
        can_select = settings.has_keys and settings.topology == "declare"
        can_route = {Capability.ROUTING} if can_select else set[Capability]()
        self.capabilities = frozenset({Capability.PARTITIONS} | can_route)

    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        """Bind the queue with these keys: ``*`` is a word between dots, ``#`` any number of words.

        Bindings of a queue that was there before stay.
        """
        self._selected = tuple(routing_keys)

    @override
    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        """Read the queues of these partitions; the subscriber's others are made, too."""
        self._partitions = tuple(sorted(set(partitions))) or range(of)
        self._of = of

    @override
    def open(self, exchange_name: str) -> None:
        """Connect, declare exchange and queue, and begin to receive."""
        self._opening.begin(exchange_name, self._connect)

    def _connect(self, exchange_name: str) -> AmqpConnection:
        check_name(exchange_name)
        self._received.clear()
        self._given_back = GivenBack(exchange_name)
        self._shares = None
        explain = partial(not_ours_to_make, self._settings)
        connection = AmqpConnection(Loop(), self._settings, exchange_name, explain)
        try:
            connection.open()
            queue_name, is_parted = self._make_sure_of_queues(connection)
            if is_parted:
                self._share(connection, queue_name)
            else:
                self._consume(connection, queue_name)
        except BaseException:
            connection.close()
            raise
        return connection

    def _consume(self, connection: AmqpConnection, queue_name: str) -> None:
        channel = connection.channel
        channel.add_on_cancel_callback(lambda _frame: _on_cancelled(connection, queue_name))
        connection.call(channel.basic_qos, prefetch_count=self._settings.prefetch)
        connection.cancels_at_close = self._is_for_competing_consumers
        connection.call(
            channel.basic_consume, queue=queue_name, on_message_callback=self._on_message
        )

    @property
    def _is_for_competing_consumers(self) -> bool:
        """Whether the queue is known to have no single active consumer, whose successor would wait.

        Then it is ended before the connection is. A quorum queue forgets acknowledgements that
        its channel had yet to hand on if the channel just closes, and gives those messages again.
        """
        arguments = self._settings.declared_arguments
        return self._settings.topology == "declare" and not arguments.get(
            "x-single-active-consumer"
        )

    def _share(self, connection: AmqpConnection, subscriber: str) -> None:
        self._shares = Shares(
            connection,
            {each: queue_of(subscriber, each) for each in self._partitions},
            self._settings.prefetch,
            on_message=self._on_parted_message,
            on_release=self._drop,
            on_cancelled=partial(_on_cancelled, connection),
        )
        self._shares.open()

    def _make_sure_of_queues(self, connection: AmqpConnection) -> tuple[str, bool]:
        """Return the subscriber's name, which is its queue's unless it has one a partition."""
        settings, exchange_name = self._settings, connection.exchange_name
        if self._selected and self._subscriber is None:
            if 0 < len(self._partitions) < self._of:
                raise BrokerRefusedError(
                    f"Exchange {exchange_name!r}: partitions are those of a subscriber's queues. "
                    "Say which subscriber (--as NAME), or choose by routing key alone.",
                    exchange_name=exchange_name,
                )
            prepare(connection, settings, QueueLayout())
            return declare_passing(connection, self._selected), False
        name = self._subscriber or next(iter(settings.queues or ()), exchange_name)
        keys = self._selected or settings.keys_of(name)
        if not keys and settings.topology == "declare":
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r}: which routing keys is the queue {name!r} for? Say it "
                "with bindings or queues in the producer's settings, or with --routing-key.",
                exchange_name=exchange_name,
            )
        prepare(connection, settings, QueueLayout({name: keys}, self._of))
        return name, self._of > 0

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        connection = self._opening.connection
        deadline = time.monotonic() + timeout
        while not self._received:
            connection.step(deadline - time.monotonic())
            if not self._received and time.monotonic() >= deadline:
                return None
        message = self._received.popleft()
        if self._shares is not None:
            reader, tag = self._opening.name_of(message)
            reader.in_hand.add(tag)
        return message

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        connection = self._opening.connection
        name = self._opening.name_of(message)
        if self._shares is None:
            connection.start(connection.channel.basic_ack, name)
        else:
            self._shares.acknowledge(*name)
        connection.step(0)

    @override
    def wait(self, seconds: float) -> None:
        """Keep heartbeats going; what comes meanwhile waits for :meth:`receive`."""
        connection = self._opening.connection
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            connection.step(left)

    @override
    def close(self) -> None:
        """Close the connection: what was not acknowledged goes back to its place in the queue."""
        if connection := self._opening.end():
            connection.close()

    def _on_message(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        self._take(method.delivery_tag, method, properties, body)

    def _on_parted_message(
        self, reader: PartitionReader, method: Any, properties: Any, body: bytes
    ) -> None:
        self._take((reader, method.delivery_tag), method, properties, body, reader.partition)

    def _take(
        self,
        name: object,
        method: Any,
        properties: Any,
        body: bytes,
        partition: int | None = None,
    ) -> None:
        """Take a message of whatever program; must not raise, lest it stays in the way."""
        sent = properties.headers or {}
        self._given_back.look(text(properties.message_id), sent)
        headers = {text(name): text(value) for name, value in sent.items()}
        seconds = properties.timestamp
        headers.pop(STORE, None)
        if self._of:
            of_header = headers.pop(PARTITION, "")
            if partition is None and of_header.isdecimal():
                partition = int(of_header)
        self._received.append(
            ReceivedMessage(
                message_id=text(properties.message_id),
                type_name=text(properties.type),
                occurred_on=moment(headers.pop(OCCURRED_ON, None), seconds and seconds * 1000),
                body=body,
                content_type=text(properties.content_type),
                headers=headers,
                delivery_tag=self._opening.delivery_tag(name),
                routing_key=text(method.routing_key),
                partition=partition,
            )
        )

    def _drop(self, reader: PartitionReader) -> None:
        """Forget what came of a partition that we let go of, and that nobody has yet."""
        kept = [each for each in self._received if self._opening.name_of(each)[0] is not reader]
        self._received = deque(kept)


def _on_cancelled(connection: AmqpConnection, queue_name: str) -> None:
    connection.fail(
        BrokerUnavailableError(
            f"Exchange {connection.exchange_name!r}: RabbitMQ at {connection.address} ended our "
            f"subscription: the queue {queue_name!r} was deleted, its node is down, or a message "
            "was not acknowledged in time (consumer_timeout). Open the exchange again.",
            exchange_name=connection.exchange_name,
        )
    )
