"""Offers ``redis`` to tidings. Imports redis only when a factory is called."""

from tidings.plugins import BackendSpec, hookimpl
from tidings_redis.settings import RedisSettings


@hookimpl
def tidings_backends() -> list[BackendSpec]:
    """Offer the producer and the consumer."""
    return [
        BackendSpec(
            name="redis",
            api=1,
            settings=RedisSettings,
            producer="tidings_redis.producer:RedisProducer",
            consumer="tidings_redis.consumer:RedisConsumer",
            requires=("redis",),
            install="tidings-redis",
        )
    ]
