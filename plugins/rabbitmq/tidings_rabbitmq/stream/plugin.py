"""Offers ``rabbitmq-stream`` to tidings. Imports no broker's library until a factory is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import Capability, MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from tidings.plugins import MessageConsumer, MessageProducer, ProducerContext

NAME = "rabbitmq-stream"
REQUIRES = ("rstream",)
INSTALL = "tidings[rabbitmq-stream]"
CAPABILITIES = frozenset({Capability.MOST_RECENT_ACCEPTED_ID})


def _producer(settings: RabbitMQStreamSettings, _context: ProducerContext) -> MessageProducer:
    from tidings_rabbitmq.stream.producer import (  # noqa: PLC0415 - imports rstream
        RabbitMQStreamProducer,
    )

    return RabbitMQStreamProducer(settings)


def _consumer(settings: RabbitMQStreamSettings, subscriber: str | None) -> MessageConsumer:
    from tidings_rabbitmq.stream.consumer import (  # noqa: PLC0415 - imports rstream
        RabbitMQStreamConsumer,
    )

    return RabbitMQStreamConsumer(settings, subscriber)


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    """Offer the producer."""
    return [
        MessageProducerSpec(
            name=NAME,
            settings=RabbitMQStreamSettings,
            requires=REQUIRES,
            install=INSTALL,
            factory=_producer,
            capabilities=lambda _settings: CAPABILITIES,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    """Offer the consumer."""
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=RabbitMQStreamSettings,
            requires=REQUIRES,
            install=INSTALL,
            factory=_consumer,
        )
    ]
