"""What tidings finds under the name ``zeromq``. Imports no broker library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import (
    Capability,
    MessageConsumer,
    MessageConsumerSpec,
    MessageProducer,
    MessageProducerSpec,
    ProducerContext,
    hookimpl,
)
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = "zeromq"
_REQUIRES = ("zmq",)
_INSTALL = "tidings[zeromq]"


def _producer(settings: ZeroMQSettings, context: ProducerContext) -> MessageProducer:
    from tidings_zeromq.producer import ZeroMQMessageProducer  # noqa: PLC0415 - imports zmq

    return ZeroMQMessageProducer(settings, context)


def _consumer(settings: ZeroMQSettings, name: str | None) -> MessageConsumer:
    from tidings_zeromq.consumer import ZeroMQMessageConsumer  # noqa: PLC0415 - imports zmq

    return ZeroMQMessageConsumer(settings, name)


def _capabilities(_settings: ZeroMQSettings) -> frozenset[Capability]:
    return frozenset({Capability.LOCK})


@hookimpl
def tidings_message_producers() -> Iterable[MessageProducerSpec]:
    """Offer the producer."""
    yield MessageProducerSpec(
        name=_NAME,
        settings=ZeroMQSettings,
        requires=_REQUIRES,
        install=_INSTALL,
        factory=_producer,
        capabilities=_capabilities,
    )


@hookimpl
def tidings_message_consumers() -> Iterable[MessageConsumerSpec]:
    """Offer the consumer."""
    yield MessageConsumerSpec(
        name=_NAME,
        settings=ZeroMQSettings,
        requires=_REQUIRES,
        install=_INSTALL,
        factory=_consumer,
    )
