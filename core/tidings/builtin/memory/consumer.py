"""Reads from a broker in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.interfaces import MessageConsumer, ReceivedMessage

if TYPE_CHECKING:
    from tidings.builtin.memory.broker import InMemoryBroker
    from tidings.builtin.memory.state import Connection


class InMemoryMessageConsumer(MessageConsumer):
    """Reads an exchange of an :class:`InMemoryBroker` as ``subscriber``, from its first message.

    What a subscriber has acknowledged stands in the broker, and so outlives the consumer.
    """

    def __init__(
        self, broker: InMemoryBroker, subscriber: str = "app", *, no_progress: float = 5.0
    ) -> None:
        self.broker = broker
        self.subscriber = subscriber
        self._no_progress = no_progress
        self._connection: Connection | None = None
        self._next_place = 0

    def open(self, exchange_name: str) -> None:
        """Connect, and begin with the first message that was not acknowledged."""
        if self._connection is not None:
            raise RuntimeError(
                f"Exchange {self._connection.exchange_name!r} is open already; close it first."
            )
        self._connection = self.broker.connect(exchange_name, self._no_progress, publisher=False)
        self._next_place = 0

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next message, or ``None`` after ``timeout`` seconds."""
        message = self.broker.next_message(
            self._open_connection(), self.subscriber, self._next_place, timeout
        )
        if message is not None:
            self._next_place = message.token + 1
        return message

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Say that ``message`` need not come again."""
        self.broker.acknowledge(self._open_connection(), self.subscriber, message.token)

    def close(self) -> None:
        """Let go."""
        if self._connection is not None:
            self.broker.disconnect(self._connection)
            self._connection = None

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("This consumer reads no exchange; call open() first.")
        return self._connection
