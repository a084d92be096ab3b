"""The consumer behind ``tidings listen``."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import zmq
from typing_extensions import override

from tidings.plugins import Capability, MessageConsumer, Opening, ReceivedMessage
from tidings_zeromq.curve import subscriber_keys
from tidings_zeromq.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_zeromq.settings import ZeroMQSettings


class ZeroMQConsumer(MessageConsumer):
    """Reads an exchange as one subscriber that keeps no ids of its own.

    So it begins where the relay remembers that it stands. That is after what it has acknowledged
    since the relay opened the exchange, else after what the exchange's required subscribers all had
    then. An application that keeps ids uses :class:`tidings_zeromq.Subscriber`.

    Of an exchange that is parted it reads each partition over a connection of its own.
    """

    capabilities = frozenset({Capability.ROUTING, Capability.PARTITIONS})

    def __init__(self, settings: ZeroMQSettings, name: str | None) -> None:
        self._settings = settings
        self._name = name or settings.subscribers[0]
        self._routing_keys: Sequence[str] | None = None
        self._partitions: Sequence[int | None] = (None,)
        self._of = 0
        self._opening = Opening[list[Subscriber]]()

    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        """Ask for these: ``*`` is a word between dots, ``#`` any number of words."""
        self._routing_keys = tuple(routing_keys)

    @override
    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        """Ask for these; the relay gives each to one process of a subscriber at a time."""
        self._partitions = tuple(dict.fromkeys(partitions)) or tuple(range(of))
        self._of = of

    @override
    def open(self, exchange_name: str) -> None:
        """Connect; the relay need not be there yet, and sends nothing past a required name."""
        self._opening.begin(exchange_name, self._connect)

    def _connect(self, exchange_name: str) -> list[Subscriber]:
        subscribers = [self._subscriber(exchange_name, each) for each in self._partitions]
        try:
            for subscriber in subscribers:
                subscriber.open()
        except BaseException:
            _close(subscribers)
            raise
        return subscribers

    def _subscriber(self, exchange_name: str, partition: int | None) -> Subscriber:
        settings = self._settings
        secret_key, relay_public_key = subscriber_keys(settings, exchange_name)
        return Subscriber(
            connect=settings.connect_address,
            exchange_name=exchange_name,
            name=self._name,
            routing_keys=self._routing_keys,
            partition=partition,
            partitions=self._of,
            secret_key=secret_key,
            relay_public_key=relay_public_key,
            heartbeat=settings.heartbeat,
        )

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        subscribers = self._opening.connection
        deadline = time.monotonic() + timeout
        while True:
            for place, subscriber in enumerate(subscribers):
                if message := subscriber.receive(0):
                    # The others come first next time, so that none of them waits for ever.
                    subscribers.append(subscribers.pop(place))
                    return replace(message, delivery_tag=self._opening.delivery_tag(subscriber))
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            _wait_for_any(subscribers, left)

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        """Say that ``message``, and all before it in its partition, need not come again."""
        subscriber: Subscriber = self._opening.name_of(message)
        subscriber.acknowledge(message)

    @override
    def close(self) -> None:
        _close(self._opening.end() or [])


def _close(subscribers: Sequence[Subscriber]) -> None:
    for subscriber in subscribers:
        subscriber.close()


def _wait_for_any(subscribers: Sequence[Subscriber], seconds: float) -> None:
    poller = zmq.Poller()
    for subscriber in subscribers:
        seconds = min(seconds, subscriber.watch(poller))
    poller.poll(math.ceil(max(0.0, seconds) * 1000))
