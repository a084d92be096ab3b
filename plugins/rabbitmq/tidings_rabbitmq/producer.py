"""The ``rabbitmq`` producer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tidings.plugins import MessageProducer, Position
from tidings_rabbitmq.loop import Loop
from tidings_rabbitmq.publication import Publication

if TYPE_CHECKING:
    from datetime import datetime

    from tidings.plugins import NotificationMessage
    from tidings_rabbitmq.settings import RabbitMQSettings


class RabbitMQProducer(MessageProducer):
    """Publishes with confirms, pipelined, to a durable fanout exchange of the exchange's name.

    A message is accepted when the broker has confirmed it, and every message sent before it, and
    has not returned it as unroutable. Each exchange has a connection of its own; while one of
    them is waited for, the heartbeats of all are kept up.
    """

    def __init__(self, settings: RabbitMQSettings) -> None:
        self._settings = settings
        self._loop: Loop | None = None
        self._publications: dict[str, Publication] = {}
        self._tails_ahead: set[str] = set()

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008 - immutable
        """Connect, declare exchange and queue, and take the exchange's lock."""
        if exchange_name in self._publications:
            raise RuntimeError(f"exchange {exchange_name!r} is open")
        self._loop = self._loop or Loop()
        try:
            track = partial(self._track, exchange_name)
            publication = Publication(self._loop, self._settings, exchange_name, position, track)
            publication.tail_is_ahead = exchange_name in self._tails_ahead
            self._publications[exchange_name] = publication
            publication.open()
        except BaseException:
            self.close(exchange_name)
            raise

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Hand a message over; many are written to the socket at once."""
        self._publication(exchange_name).send(
            notification_message, notification_type, notification_id, notification_occurred_on
        )

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        """Wait for every confirm."""
        self._publication(exchange_name).pipeline.flush(timeout)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the greatest id up to which everything was confirmed."""
        return self._publication(exchange_name).pipeline.accepted_id()

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        """Return the id of the message in the exchange's tail (``resume = "tail"``)."""
        return self._publication(exchange_name).most_recent_accepted_id()

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Keep heartbeats going, and raise where the connection is lost."""
        self._publication(exchange_name).pipeline.wait(seconds)

    def close(self, exchange_name: str) -> None:
        """Close the exchange's connection; takes at most three seconds, also from a dead broker."""
        publication = self._publications.pop(exchange_name, None)
        if publication is not None:
            publication.close()
            self._tails_ahead.discard(exchange_name)
            if publication.tail_is_ahead:
                self._tails_ahead.add(exchange_name)
        if self._loop is not None and not self._publications:
            self._loop.close()
            self._loop = None

    def _track(self, exchange_name: str) -> None:
        if self.on_accepted is not None:
            self.on_accepted(exchange_name)

    def _publication(self, exchange_name: str) -> Publication:
        try:
            return self._publications[exchange_name]
        except KeyError:
            raise RuntimeError(f"exchange {exchange_name!r} is not open") from None
