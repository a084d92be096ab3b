"""Reads from a broker in memory."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.builtin.memory.state import InMemoryConnection
from tidings.interfaces import Capability, MessageConsumer, Opening, ReceivedMessage
from tidings.routing.patterns import KeyPatterns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.builtin.memory.broker import InMemoryBroker


class InMemoryConsumer(MessageConsumer):
    """Reads an exchange of an :class:`InMemoryBroker` as ``subscriber``, from its first message.

    What a subscriber has acknowledged stands in the broker, and so outlives the consumer. Routing
    keys are selected as from a topic exchange of RabbitMQ: ``*`` is a word between dots, ``#`` any
    number of words.
    """

    capabilities = frozenset({Capability.ROUTING, Capability.PARTITIONS})

    def __init__(
        self, broker: InMemoryBroker, subscriber: str = "app", *, no_progress: float = 5.0
    ) -> None:
        self.broker = broker
        self.subscriber = subscriber
        self._no_progress = no_progress
        self._opening = Opening[InMemoryConnection]()
        self._next_place = 0
        self._selected = KeyPatterns(["#"])
        self._partitions: frozenset[int] | None = None

    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        """Get these only; may be called while an exchange is open, too."""
        self._selected = KeyPatterns(routing_keys)

    @override
    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        """Read these only, or all; may be called while an exchange is open, too."""
        self._partitions = frozenset(partitions or range(of))

    @override
    def open(self, exchange_name: str) -> None:
        """Connect, and begin with the first message that was not acknowledged."""
        self._opening.begin(
            exchange_name,
            lambda name: self.broker.connect(name, self._no_progress, publisher=False),
        )
        self._next_place = 0

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        deadline = time.monotonic() + timeout
        while True:
            left = max(deadline - time.monotonic(), 0)
            message = self.broker.next_message(
                self._opening.connection, self.subscriber, self._next_place, left
            )
            if message is None:
                return None
            self._next_place = message.delivery_tag + 1
            if self._wants(message):
                return replace(
                    message, delivery_tag=self._opening.delivery_tag(message.delivery_tag)
                )

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        connection = self._opening.connection
        self.broker.acknowledge(connection, self.subscriber, self._opening.name_of(message))

    @override
    def close(self) -> None:
        if connection := self._opening.end():
            self.broker.disconnect(connection)

    def _wants(self, message: ReceivedMessage) -> bool:
        if self._partitions is not None and message.partition not in self._partitions:
            return False
        return self._selected.match(message.routing_key)
