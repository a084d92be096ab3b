"""Publishes to ActiveMQ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import Capability, MessageProducer
from tidings_activemq import destinations
from tidings_activemq.connection import StompConnection
from tidings_activemq.open_exchange import OpenActiveMQExchange

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext, OpenExchange
    from tidings_activemq.settings import ActiveMQSettings


class ActiveMQProducer(MessageProducer):
    """Publishes over STOMP, each exchange over a connection of its own.

    Exchange ``X`` is the virtual topic ``VirtualTopic.X``. Events go out in transactions, whose
    receipts are the acceptance. With ``token`` on, the broker lets one producer at a time publish
    to an exchange. It remembers the last id in the same transaction as the events. So after a crash
    of either side nothing is lost, published twice or out of order.
    """

    def __init__(self, settings: ActiveMQSettings) -> None:
        self._settings = settings
        self.window = settings.window
        self.capabilities = frozenset(
            {Capability.OUT_OF_ORDER, Capability.WAIT_SETTLES, Capability.PARTITIONS}
        )
        if settings.routing != "none":
            self.capabilities |= {Capability.ROUTING}
        if settings.token:
            self.capabilities |= {
                Capability.MOST_RECENT_ACCEPTED,
                # One transaction of the broker's store has the token and the events.
                Capability.REMEMBERS_DURABLY,
                Capability.LOCK,
            }

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Connect, make sure of the subscribers' queues, and take the exchange's token.

        Raises :class:`~tidings.errors.ExchangeLockedError` if another producer has it.
        """
        destinations.check_exchange_name(context.exchange_name)
        connection = StompConnection(self._settings, context.exchange_name)
        try:
            connection.open()
            return OpenActiveMQExchange(self._settings, context, connection)
        except BaseException:
            connection.close(politely=True)
            raise
