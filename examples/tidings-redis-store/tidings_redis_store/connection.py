"""A connection to Redis."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tidings_redis_store.settings import RedisStoreSettings


def connect(settings: RedisStoreSettings) -> redis.Redis:
    """Return a client that connects with its first command, and tries nothing a second time."""
    return redis.Redis.from_url(
        settings.url.get_secret_value(),
        protocol=2,
        decode_responses=True,
        socket_timeout=settings.timeout,
        socket_connect_timeout=settings.timeout,
        # A commit that was answered by nobody may have happened: it must not be done again.
        retry=Retry(NoBackoff(), 0),
    )
