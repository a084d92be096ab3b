"""Sends to a broker in memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidings.builtin.memory.broker import InMemoryBroker
from tidings.interfaces import MessageProducer, Notification, NotificationMessage, Position

if TYPE_CHECKING:
    from datetime import datetime

    from tidings.builtin.memory.state import Connection


class InMemoryMessageProducer(MessageProducer):
    """Sends to an :class:`InMemoryBroker`: its own, or the one that it is given.

    ``window`` is how many messages may wait for acceptance before :meth:`send` blocks;
    ``no_progress`` after how many seconds without an answer a call gives up.
    """

    def __init__(
        self, broker: InMemoryBroker | None = None, *, window: int = 1000, no_progress: float = 5.0
    ) -> None:
        self.broker = broker or InMemoryBroker()
        self._window = window
        self._no_progress = no_progress
        self._connections: dict[str, Connection] = {}

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008 - immutable
        """Connect; one producer at a time for each exchange."""
        if exchange_name in self._connections:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already; close it first.")
        self._connections[exchange_name] = self.broker.connect(
            exchange_name, self._no_progress, publisher=True, generation=position.generation
        )

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Hand one notification over; it is accepted at once unless the broker is frozen."""
        notification = Notification(
            notification_message, notification_type, notification_id, notification_occurred_on
        )
        self.broker.send(
            self._connection(exchange_name), notification, self._window, self._no_progress
        )

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        """Return when everything sent was accepted."""
        patience = self._no_progress if timeout is None else timeout
        self.broker.flush(self._connection(exchange_name), patience)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the newest id that was accepted since :meth:`open`."""
        return self._connection(exchange_name).accepted_id

    def close(self, exchange_name: str) -> None:
        """Let go of the exchange, and of what was not accepted."""
        connection = self._connections.pop(exchange_name, None)
        if connection is not None:
            self.broker.disconnect(connection)

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        """Return the newest id that the broker holds of this generation."""
        last = self.broker.last_accepted(exchange_name)
        if last is None or last.generation != self._connection(exchange_name).generation:
            return None
        return last.event_id

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Pass ``seconds``; raises where the connection was cut."""
        time.sleep(seconds)
        connection = self._connection(exchange_name)
        if connection.error is not None:
            raise connection.error

    def _connection(self, exchange_name: str) -> Connection:
        connection = self._connections.get(exchange_name)
        if connection is None:
            raise RuntimeError(f"Exchange {exchange_name!r} is not open; call open() first.")
        return connection
