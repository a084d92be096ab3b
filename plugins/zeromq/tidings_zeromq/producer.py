"""The producer: the relay's side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import Capability, MessageProducer
from tidings_zeromq.open_exchange import OpenZeroMQExchange

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext, OpenExchange, ProducerContext
    from tidings_zeromq.settings import ZeroMQSettings


class ZeroMQProducer(MessageProducer):
    """Serves an exchange to the subscribers that connect.

    An event is accepted when every subscriber of ``settings.subscribers`` has acknowledged it.
    Exchanges of one process may share one address, also those of several producers in several
    threads.
    """

    capabilities = frozenset(
        {
            Capability.LOCK,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )

    def __init__(self, settings: ZeroMQSettings, context: ProducerContext) -> None:
        self._settings = settings
        self.window = settings.window
        self._event_store = context

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Listen for subscribers. One that names no id begins after the position.

        :class:`~tidings.errors.ExchangeLockedError` if another relay listens at the address.
        """
        return OpenZeroMQExchange(self._settings, context, self._event_store)
