"""The producer: PUB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import Capability, MessageProducer
from tidings_zeromq.pub.open_exchange import OpenZeroMQPubExchange

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext, OpenExchange
    from tidings_zeromq.pub.settings import ZeroMQPubSettings


class ZeroMQPubProducer(MessageProducer):
    """Publishes to whoever listens just now. **Lossy**: here "accepted" is "handed to the socket".

    A subscriber that is late, slow or away misses events, and nobody is told; what was in flight
    when the relay died is gone. If that matters, use the backend ``zeromq``.
    """

    capabilities = frozenset({Capability.LOCK, Capability.OUT_OF_ORDER, Capability.ROUTING})

    def __init__(self, settings: ZeroMQPubSettings) -> None:
        self._settings = settings

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Listen. One exchange an address: two would be one feed to a subscriber."""
        return OpenZeroMQPubExchange(self._settings, context)
