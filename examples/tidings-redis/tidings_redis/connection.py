"""A connection to Redis."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tidings_redis.settings import RedisSettings


def connect(settings: RedisSettings, timeout: float | None = None) -> redis.Redis:
    """Return a client that connects with its first command, and waits ``timeout`` for each."""
    url = settings.url.get_secret_value()
    options: dict[str, Any] = {}
    if url.startswith("rediss://"):
        options = {"ssl_check_hostname": True, "ssl_ca_certs": settings.ca_file}
    seconds = settings.timeout if timeout is None else max(timeout, 0.01)
    return redis.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
