"""Offers ``redis`` to tidings. Imports redis only when a factory is called."""

from tidings.plugins import (
    Capability,
    MessageConsumer,
    MessageConsumerSpec,
    MessageProducer,
    MessageProducerSpec,
    ProducerContext,
    hookimpl,
)
from tidings_redis.settings import RedisSettings


def _producer(settings: RedisSettings, _context: ProducerContext) -> MessageProducer:
    from tidings_redis.producer import RedisProducer  # noqa: PLC0415 - imports redis

    return RedisProducer(settings)


def _consumer(settings: RedisSettings, subscriber: str | None) -> MessageConsumer:
    from tidings_redis.consumer import RedisConsumer  # noqa: PLC0415 - imports redis

    return RedisConsumer(settings, subscriber)


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    """Offer the producer."""
    return [
        MessageProducerSpec(
            name="redis",
            api=1,
            settings=RedisSettings,
            requires=("redis",),
            install="tidings-redis",
            factory=_producer,
            capabilities=lambda _settings: frozenset({Capability.MOST_RECENT_ACCEPTED_ID}),
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
            requires=("redis",),
            install="tidings-redis",
            factory=_consumer,
        )
    ]
