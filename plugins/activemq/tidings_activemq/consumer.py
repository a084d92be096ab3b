"""Reads back from ActiveMQ what arrived."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidings.plugins import BrokerRefusedError, MessageConsumer, ReceivedMessage
from tidings_activemq import destinations, frames
from tidings_activemq.connection import Connection

if TYPE_CHECKING:
    from tidings_activemq.connection import Arrival
    from tidings_activemq.settings import ActiveMQSettings

_SUBSCRIPTION = "consumer"


class ActiveMQConsumer(MessageConsumer):
    """Reads ``Consumer.<subscriber>.VirtualTopic.<exchange>``, or ``destination`` where it is set.

    At most ``prefetch`` messages may be received and not yet acknowledged; an acknowledgement is
    on its way when :meth:`acknowledge` returns, and done when :meth:`close` does.
    """

    def __init__(self, settings: ActiveMQSettings, subscriber: str | None) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._connection: Connection | None = None

    def open(self, exchange_name: str) -> None:
        """Connect and subscribe; the queue is made where it isn't there yet."""
        if self._connection is not None:
            raise RuntimeError("This consumer is open already.")
        destination = self._destination(exchange_name)
        connection = Connection(self._settings, exchange_name)
        try:
            connection.open()
            connection.request(
                "SUBSCRIBE",
                {
                    "id": _SUBSCRIPTION,
                    "destination": destination,
                    "ack": "client-individual",
                    "activemq.prefetchSize": self._settings.prefetch,
                },
            )
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next message, or ``None``; raises when the connection is lost."""
        connection = self._opened()
        deadline = time.monotonic() + timeout
        while arrival := connection.next(max(deadline - time.monotonic(), 0)):
            if arrival.kind == "message":
                return _received(arrival)
        return None

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Send the acknowledgement of ``message``."""
        self._opened().write(frames.frame("ACK", {"id": message.token}))

    def close(self) -> None:
        """Let go; the broker gets up to a second to say that it has all acknowledgements."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(politely=True)

    def _destination(self, exchange_name: str) -> str:
        if self._settings.destination is not None:
            return self._settings.destination
        destinations.check_exchange_name(exchange_name)
        subscriber = self._subscriber or next(iter(self._settings.subscribers), None)
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
        return destinations.subscriber_queue(exchange_name, subscriber)

    def _opened(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("This consumer is not open.")
        return self._connection


def _received(arrival: Arrival) -> ReceivedMessage:
    headers = arrival.headers
    return ReceivedMessage(
        message_id=headers.get("event-id")
        or headers.get("correlation-id")
        or headers["message-id"],
        type_name=headers.get("type", ""),
        occurred_on=_occurred_on(headers),
        body=arrival.body,
        content_type=headers.get("content-type", ""),
        headers={key: value for key, value in headers.items() if key not in frames.RESERVED},
        token=headers["ack"],
    )


def _occurred_on(headers: dict[str, str]) -> datetime | None:
    """Return the exact time, the broker's where there is none, ``None`` for nonsense."""
    try:
        if text := headers.get("occurred_on"):
            return datetime.fromisoformat(text).astimezone(UTC)
        return datetime.fromtimestamp(int(headers["timestamp"]) / 1000, UTC)
    except (KeyError, ValueError, OverflowError):
        return None
