"""The ``rabbitmq-stream`` producer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidings.plugins import MessageProducer, Position
from tidings_rabbitmq.stream.publication import Publication

if TYPE_CHECKING:
    from datetime import datetime

    from tidings.plugins import NotificationMessage
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

KEEP_ALIVE_SECONDS = 0.5
"""How often the other open exchanges are looked after while one is waited for."""


class RabbitMQStreamProducer(MessageProducer):
    """Publishes to a stream of the exchange's name, as a named publisher.

    The event's id is the publishing id: the broker itself drops what it has from that publisher,
    and says what the newest is. A message is accepted when the broker has confirmed it and every
    message sent before it.
    """

    def __init__(self, settings: RabbitMQStreamSettings) -> None:
        self._settings = settings
        self._publications: dict[str, Publication] = {}

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008 - immutable
        """Connect, create the stream where it is missing, and declare the publisher."""
        if exchange_name in self._publications:
            raise RuntimeError(f"exchange {exchange_name!r} is open")
        publication = Publication(self._settings, exchange_name, position)
        self._publications[exchange_name] = publication
        try:
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
        self._keep_others_alive(exchange_name)
        self._publication(exchange_name).pipeline.flush(timeout)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the greatest id up to which everything was confirmed."""
        return self._publication(exchange_name).pipeline.accepted_id()

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        """Return the sequence that the broker keeps for our publisher's name."""
        return self._publication(exchange_name).most_recent_accepted_id()

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Keep heartbeats going, and raise where the connection is lost."""
        pipeline = self._publication(exchange_name).pipeline
        owed = len(pipeline.window)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (pipeline.window or not owed):
            self._keep_others_alive(exchange_name)
            pipeline.wait(min(left, KEEP_ALIVE_SECONDS))

    def close(self, exchange_name: str) -> None:
        """Close the exchange's connection; takes at most a second, also from a dead broker."""
        publication = self._publications.pop(exchange_name, None)
        if publication is not None:
            publication.close()

    def _keep_others_alive(self, exchange_name: str) -> None:
        for name, publication in self._publications.items():
            if name != exchange_name:
                publication.keep_alive()

    def _publication(self, exchange_name: str) -> Publication:
        try:
            return self._publications[exchange_name]
        except KeyError:
            raise RuntimeError(f"exchange {exchange_name!r} is not open") from None
