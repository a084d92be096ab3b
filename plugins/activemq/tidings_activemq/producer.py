"""Publishes to ActiveMQ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import MessageProducer, Position
from tidings_activemq import destinations
from tidings_activemq.publisher import Publisher

if TYPE_CHECKING:
    from datetime import datetime

    from tidings.plugins import NotificationMessage
    from tidings_activemq.settings import ActiveMQSettings


class ActiveMQProducer(MessageProducer):
    """Publishes over STOMP, each exchange over a connection of its own.

    Exchange ``X`` is the virtual topic ``VirtualTopic.X``. Events go out in transactions, whose
    receipts are the acceptance. With ``token`` on, the broker lets one producer at a time publish
    to an exchange, and remembers the last id in the same transaction as the events: after a crash
    of either side nothing is lost, published twice or out of order.
    """

    def __init__(self, settings: ActiveMQSettings) -> None:
        self._settings = settings
        self._publishers: dict[str, Publisher] = {}
        self._one_by_one_until: dict[str, int] = {}

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008 - immutable
        """Connect, make sure of the subscribers' queues, and take the exchange's token.

        Raises :class:`~tidings.errors.ExchangeLockedError` where another producer has it.
        """
        if exchange_name in self._publishers:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already.")
        destinations.check_exchange_name(exchange_name)
        publisher = Publisher(
            self._settings, exchange_name, self._one_by_one_until.get(exchange_name, 0)
        )
        try:
            publisher.open(position.generation)
        except BaseException:
            publisher.close()
            raise
        self._publishers[exchange_name] = publisher

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Add the event to a transaction; blocks while ``window`` events are under way."""
        self._publisher(exchange_name).send(
            notification_message, notification_type, notification_id, notification_occurred_on
        )

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        """Commit what there is, and return when the broker has given all receipts."""
        self._publisher(exchange_name).flush(timeout)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the last id of the last transaction whose receipt has come, in order."""
        publisher = self._publisher(exchange_name)
        publisher.poll()
        return publisher.accepted_id

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        """Return the id that the token bore when it was taken, or what was accepted since."""
        return self._publisher(exchange_name).newest_id

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Pass ``seconds``; a lost connection is noticed at once, a silent broker by heartbeats."""
        self._publisher(exchange_name).wait(seconds)

    def close(self, exchange_name: str) -> None:
        """Give the token back and disconnect. What was not accepted may still be."""
        publisher = self._publishers.pop(exchange_name, None)
        if publisher is not None:
            self._one_by_one_until[exchange_name] = publisher.one_by_one_until
            publisher.close()

    def _publisher(self, exchange_name: str) -> Publisher:
        try:
            return self._publishers[exchange_name]
        except KeyError:
            raise RuntimeError(f"Exchange {exchange_name!r} is not open.") from None
