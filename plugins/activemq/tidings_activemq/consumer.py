"""Reads back from ActiveMQ what arrived."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import (
    BrokerRefusedError,
    Capability,
    MessageConsumer,
    Opening,
    ReceivedMessage,
)
from tidings_activemq import characters, destinations, frames, routing
from tidings_activemq.connection import StompConnection
from tidings_activemq.routing import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings.plugins import KeyPatterns
    from tidings_activemq.arrivals import Arrival
    from tidings_activemq.routing import Wanted
    from tidings_activemq.settings import ActiveMQSettings

_SUBSCRIPTION = "consumer"


class ActiveMQConsumer(MessageConsumer):
    """Reads ``Consumer.<subscriber>.VirtualTopic.<exchange>``, or ``destination`` if it is set.

    At most ``prefetch`` messages may be received and not yet acknowledged; an acknowledgement is
    on its way when :meth:`acknowledge` returns, and done when :meth:`close` does.

    With ``routing = "topic"`` the queue's name ends with what is asked for, in ActiveMQ's
    wildcards. Whoever selects routing keys without a name reads the topics themselves: what is
    sent meanwhile, and leaves no queue behind.
    """

    def __init__(self, settings: ActiveMQSettings, subscriber: str | None) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._opening = Opening[StompConnection]()
        self._selected: Sequence[str] | None = None
        self._filter: KeyPatterns | None = None
        self._partitions: Sequence[int] = ()
        self._left_out: Sequence[int] = ()
        self._topic = ""
        self.capabilities = frozenset()
        if settings.destination is None:
            self.capabilities |= {Capability.PARTITIONS}
        if settings.routing == "topic":
            self.capabilities |= {Capability.ROUTING}

    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        """Ask for these: ``*`` is a word between dots, ``#`` any number of words.

        What was asked for before under this name has a queue of its own, which stays.
        """
        self._selected = tuple(routing_keys)

    @override
    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        """Read the queues of these partitions, which the broker gives to one consumer each.

        Another one of the same subscriber gets a queue when this one closes, or is gone. Those of
        the other partitions are made, too.
        """
        self._partitions = tuple(dict.fromkeys(partitions)) or tuple(range(of))
        self._left_out = [each for each in range(of) if each not in self._partitions]

    @override
    def open(self, exchange_name: str) -> None:
        """Connect and subscribe; the queue is made if it isn't there yet."""
        self._opening.begin(exchange_name, self._connect)

    def _connect(self, exchange_name: str) -> StompConnection:
        subscriptions = self._subscriptions(exchange_name)
        connection = StompConnection(self._settings, exchange_name)
        try:
            connection.open()
            for subscription in subscriptions:
                connection.request("SUBSCRIBE", subscription)
            for partition in self._left_out:
                connection.make_queue(self._destination(exchange_name, partition))
        except BaseException:
            connection.close()
            raise
        return connection

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        connection = self._opening.connection
        deadline = time.monotonic() + timeout
        while arrival := connection.next(max(deadline - time.monotonic(), 0)):
            if arrival.kind == "message":
                message = self._received(arrival)
                if self._filter is None or self._filter.match(message.routing_key):
                    return message
                self.acknowledge(message)
        return None

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        connection = self._opening.connection
        connection.write(frames.frame("ACK", {"id": self._opening.name_of(message)}))

    @override
    def close(self) -> None:
        """Let go; the broker gets up to a second to say that it has all acknowledgements."""
        if connection := self._opening.end():
            connection.close(politely=True)

    def _subscriptions(self, exchange_name: str) -> list[dict[str, str | int]]:
        fixed: dict[str, str | int] = {
            "ack": "client-individual",
            "activemq.prefetchSize": max(
                1, self._settings.prefetch // max(1, len(self._partitions))
            ),
        }
        if not self._partitions:
            destination = self._destination(exchange_name, None)
            return [{"id": _SUBSCRIPTION, "destination": destination, **fixed}]
        return [
            {
                "id": f"{_SUBSCRIPTION}-{partition}",
                "destination": self._destination(exchange_name, partition),
                "activemq.exclusive": "true",
                **fixed,
            }
            for partition in self._partitions
        ]

    def _destination(self, exchange_name: str, partition: int | None) -> str:
        settings = self._settings
        if settings.destination is not None:
            return settings.destination
        destinations.check_exchange_name(exchange_name)
        self._topic = destinations.topic(exchange_name, settings.topic_name)
        wanted = self._wanted(exchange_name)
        self._filter = wanted.more
        if self._selected is not None and self._subscriber is None:
            part = joined(partition, wanted.name)
            return destinations.topic(exchange_name, settings.topic_name, part)
        subscriber = self._name()
        if subscriber is None:
            raise BrokerRefusedError(
                f"Nobody to read exchange {exchange_name!r} as: name a subscriber, or give "
                "subscribers in the settings of activemq.",
                exchange_name=exchange_name,
            )
        if not destinations.is_subscriber_name(subscriber):
            raise BrokerRefusedError(
                f"{subscriber!r} cannot read exchange {exchange_name!r}: a subscriber's name is "
                "part of its queue's, so no dots, white space or * > , ? /. Use another name.",
                exchange_name=exchange_name,
            )
        return settings.queue_of(exchange_name, subscriber, wanted.name, partition)

    def _name(self) -> str | None:
        return self._subscriber or next(iter(self._settings.subscribers), None)

    def _wanted(self, exchange_name: str) -> Wanted:
        keys = self._selected
        if keys is None:
            keys = self._settings.subscribers.get(self._name() or "", [])
        try:
            return routing.wanted(keys)
        except ValueError as error:
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r} cannot be read by routing key: {error}.",
                exchange_name=exchange_name,
            ) from error

    def _received(self, arrival: Arrival) -> ReceivedMessage:
        headers = dict(characters.unescaped(arrival.headers))
        partition = self._partition_of(headers)
        topic = self._topic if partition is None else f"{self._topic}.{partition}"
        key = "" if self._settings.routing == "none" else routing.key_of(headers, topic)
        return ReceivedMessage(
            message_id=headers.get("event-id")
            or headers.get("correlation-id")
            or headers["message-id"],
            type_name=headers.get("type", ""),
            occurred_on=_occurred_on(headers),
            body=arrival.body,
            content_type=headers.get("content-type", ""),
            headers={name: value for name, value in headers.items() if name not in frames.RESERVED},
            delivery_tag=self._opening.delivery_tag(headers["ack"]),
            routing_key=key,
            partition=partition,
        )

    def _partition_of(self, headers: dict[str, str]) -> int | None:
        """Return the partition whose subscription a message came by; take it out of the headers."""
        if not self._partitions:
            return None
        headers.pop(routing.PARTITION, None)
        return int(headers["subscription"].removeprefix(f"{_SUBSCRIPTION}-"))


def _occurred_on(headers: Mapping[str, str]) -> datetime | None:
    """Return the exact time, the broker's if there is none, ``None`` for nonsense."""
    try:
        if text := headers.get("occurred_on"):
            return datetime.fromisoformat(text).astimezone(UTC)
        return datetime.fromtimestamp(int(headers["timestamp"]) / 1000, UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
