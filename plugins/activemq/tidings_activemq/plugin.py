"""Tells tidings what this package offers. Imports no broker library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import Capability, MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_activemq.settings import ActiveMQSettings

if TYPE_CHECKING:
    from tidings.plugins import MessageConsumer, MessageProducer, ProducerContext

NAME = "activemq"
REQUIRES = ("stomp",)
INSTALL = "tidings[activemq]"


def _producer(settings: ActiveMQSettings, context: ProducerContext) -> MessageProducer:  # noqa: ARG001 - the broker keeps what we need
    from tidings_activemq.producer import ActiveMQProducer  # noqa: PLC0415 - imports stomp.py

    return ActiveMQProducer(settings)


def _consumer(settings: ActiveMQSettings, subscriber: str | None) -> MessageConsumer:
    from tidings_activemq.consumer import ActiveMQConsumer  # noqa: PLC0415 - imports stomp.py

    return ActiveMQConsumer(settings, subscriber)


def _capabilities(settings: ActiveMQSettings) -> frozenset[Capability]:
    capabilities = {Capability.OUT_OF_ORDER}
    if settings.token:
        capabilities |= {Capability.MOST_RECENT_ACCEPTED_ID, Capability.LOCK}
    return frozenset(capabilities)


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    """Offer the producer."""
    return [
        MessageProducerSpec(
            name=NAME,
            settings=ActiveMQSettings,
            factory=_producer,
            requires=REQUIRES,
            install=INSTALL,
            capabilities=_capabilities,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    """Offer the consumer."""
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=ActiveMQSettings,
            factory=_consumer,
            requires=REQUIRES,
            install=INSTALL,
        )
    ]
