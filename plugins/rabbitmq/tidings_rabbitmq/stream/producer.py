"""The ``rabbitmq-stream`` producer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import Capability, MessageProducer
from tidings_rabbitmq.stream.open_exchange import OpenRabbitMQStreamExchange

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext, OpenExchange
    from tidings_rabbitmq.stream.connection import StreamConnection
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings


class RabbitMQStreamProducer(MessageProducer):
    """Publishes to a stream of the exchange's name, as a named publisher.

    The event's id is the publishing id: the broker itself drops what it has from that publisher,
    and says what the newest is. A message is accepted when the broker has confirmed it and every
    message sent before it.
    """

    capabilities = frozenset(
        {
            Capability.MOST_RECENT_ACCEPTED,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )

    def __init__(self, settings: RabbitMQStreamSettings) -> None:
        self._settings = settings
        self.window = settings.window
        self._links: set[StreamConnection] = set()

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Connect, create the stream if it is missing, and declare the publisher."""
        return OpenRabbitMQStreamExchange(self._settings, context, self._links)
