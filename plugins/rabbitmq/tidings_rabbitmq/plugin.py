"""Offers ``rabbitmq`` to tidings. Imports no broker's library until a factory is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import Capability, MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from tidings.plugins import MessageConsumer, MessageProducer, ProducerContext

NAME = "rabbitmq"
REQUIRES = ("pika",)
INSTALL = "tidings[rabbitmq]"


def _producer(settings: RabbitMQSettings, _context: ProducerContext) -> MessageProducer:
    from tidings_rabbitmq.producer import RabbitMQProducer  # noqa: PLC0415 - imports pika

    return RabbitMQProducer(settings)


def _consumer(settings: RabbitMQSettings, subscriber: str | None) -> MessageConsumer:
    from tidings_rabbitmq.consumer import RabbitMQConsumer  # noqa: PLC0415 - imports pika

    return RabbitMQConsumer(settings, subscriber)


def _capabilities(settings: RabbitMQSettings) -> frozenset[Capability]:
    capabilities = {Capability.UNROUTABLE, Capability.OUT_OF_ORDER}
    if settings.lock:
        capabilities.add(Capability.LOCK)
    if settings.resume == "tail":
        # A bound tail is a queue too: the broker finds somebody for every message.
        capabilities.remove(Capability.UNROUTABLE)
        capabilities.add(Capability.MOST_RECENT_ACCEPTED_ID)
    return frozenset(capabilities)


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    """Offer the producer."""
    return [
        MessageProducerSpec(
            name=NAME,
            settings=RabbitMQSettings,
            requires=REQUIRES,
            install=INSTALL,
            factory=_producer,
            capabilities=_capabilities,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    """Offer the consumer."""
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=RabbitMQSettings,
            requires=REQUIRES,
            install=INSTALL,
            factory=_consumer,
        )
    ]
