"""The ``rabbitmq`` producer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import Capability, MessageProducer
from tidings_rabbitmq.loop import Loop
from tidings_rabbitmq.open_exchange import OpenRabbitMQExchange

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext, OpenExchange
    from tidings_rabbitmq.settings import RabbitMQSettings


class RabbitMQProducer(MessageProducer):
    """Publishes with confirms, pipelined, to a durable exchange of the exchange's name.

    A message is accepted when the broker has confirmed it, and every message sent before it, and
    has not returned it as unroutable. Each exchange has a connection of its own; while one of
    them is waited for, the heartbeats of all are kept up.
    """

    def __init__(self, settings: RabbitMQSettings) -> None:
        self.capabilities = _capabilities(settings)
        self._settings = settings
        self.window = settings.window
        self._loop = Loop()

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Connect, declare exchange and queue, and take the exchange's lock."""
        return OpenRabbitMQExchange(self._loop, self._settings, context)


def _capabilities(settings: RabbitMQSettings) -> frozenset[Capability]:
    capabilities = {
        Capability.OUT_OF_ORDER,
        Capability.WAIT_SETTLES,
        Capability.ROUTING,
        Capability.PARTITIONS,
    }
    if settings.lock:
        capabilities.add(Capability.LOCK)
    # A bound tail is a queue too: the broker finds somebody for every message.
    if settings.resume == "tail":
        capabilities.add(Capability.MOST_RECENT_ACCEPTED)
    elif settings.unroutable == "fail":
        capabilities.add(Capability.UNROUTABLE)
    return frozenset(capabilities)
