"""Publishes to Redis Streams."""

from tidings.plugins import Capability, ExchangeContext, MessageProducer, OpenExchange
from tidings_redis.open_exchange import OpenRedisExchange
from tidings_redis.settings import RedisSettings


class RedisProducer(MessageProducer):
    """One stream for each exchange."""

    capabilities = frozenset({Capability.MOST_RECENT_ACCEPTED, Capability.ROUTING})

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Connect. The stream makes itself with its first entry."""
        return OpenRedisExchange(context, self._settings)
