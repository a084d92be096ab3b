"""Offers ``redis`` to tidings. Imports redis only when a factory is called."""

from tidings.plugins import MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_redis.settings import RedisSettings


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    """Offer the producer."""
    return [
        MessageProducerSpec(
            name="redis",
            api=1,
            settings=RedisSettings,
            factory="tidings_redis.producer:RedisProducer",
            requires=("redis",),
            install="tidings-redis",
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    """Offer the consumer."""
    return [
        MessageConsumerSpec(
            name="redis",
            api=1,
            settings=RedisSettings,
            factory="tidings_redis.consumer:RedisConsumer",
            requires=("redis",),
            install="tidings-redis",
        )
    ]
