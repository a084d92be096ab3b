"""The ``rabbitmq`` consumer."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidings.plugins import BrokerUnavailableError, MessageConsumer, ReceivedMessage
from tidings_rabbitmq.connection import Connection
from tidings_rabbitmq.frames import OCCURRED_ON
from tidings_rabbitmq.loop import Loop
from tidings_rabbitmq.topology import check_name, declare

if TYPE_CHECKING:
    from tidings_rabbitmq.settings import RabbitMQSettings


class RabbitMQConsumer(MessageConsumer):
    """Reads a durable queue that is bound to the exchange, acknowledging by hand.

    Without a subscriber's name the queue is the one named like the exchange; with one, the queue
    has that very name.
    """

    def __init__(self, settings: RabbitMQSettings, subscriber: str | None) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._loop: Loop | None = None
        self._connection: Connection | None = None
        self._received: deque[ReceivedMessage] = deque()

    def open(self, exchange_name: str) -> None:
        """Connect, declare exchange and queue, and begin to receive."""
        if self._connection is not None:
            raise RuntimeError("an exchange is open")
        check_name(exchange_name)
        self._loop = Loop()
        connection = self._connection = Connection(self._loop, self._settings, exchange_name)
        queue_name = self._subscriber or exchange_name
        try:
            connection.open()
            declare(connection, queue_name, self._settings.declared_arguments)
            channel = connection.channel
            channel.add_on_cancel_callback(lambda _frame: self._on_cancelled(queue_name))
            connection.call(channel.basic_qos, prefetch_count=self._settings.prefetch)
            connection.call(
                channel.basic_consume, queue=queue_name, on_message_callback=self._on_message
            )
        except BaseException:
            self.close()
            raise

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the queue's next message."""
        connection = self._open_connection()
        deadline = time.monotonic() + timeout
        while not self._received:
            connection.step(deadline - time.monotonic())
            if not self._received and time.monotonic() >= deadline:
                return None
        return self._received.popleft()

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Acknowledge this one message."""
        connection = self._open_connection()
        connection.start(connection.channel.basic_ack, message.token)
        connection.step(0)

    def close(self) -> None:
        """Close the connection: what was not acknowledged goes back to its place in the queue."""
        self._received.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("no exchange is open")
        return self._connection

    def _on_message(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        headers = {name: str(value) for name, value in (properties.headers or {}).items()}
        occurred_on = _time(headers.pop(OCCURRED_ON, None), properties.timestamp)
        self._received.append(
            ReceivedMessage(
                message_id=properties.message_id or "",
                type_name=properties.type or "",
                occurred_on=occurred_on,
                body=body,
                content_type=properties.content_type or "",
                headers=headers,
                token=method.delivery_tag,
            )
        )

    def _on_cancelled(self, queue_name: str) -> None:
        connection = self._open_connection()
        connection.fail(
            BrokerUnavailableError(
                f"Exchange {connection.exchange_name!r}: RabbitMQ at {connection.address} ended "
                f"our subscription: the queue {queue_name!r} was deleted, or its node is down. "
                "Open the exchange again.",
                exchange_name=connection.exchange_name,
            )
        )


def _time(exact: str | None, seconds: int | None) -> datetime | None:
    """Return the exact time, or the broker's whole seconds where another wrote the message."""
    if exact is not None:
        try:
            return datetime.fromisoformat(exact)
        except ValueError:
            pass
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
