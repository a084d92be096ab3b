"""What tidings finds under the name ``zeromq-pub``. Imports no broker library."""

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
from tidings_zeromq.pub.settings import PubSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = "zeromq-pub"
_REQUIRES = ("zmq",)
_INSTALL = "tidings[zeromq]"


def _producer(settings: PubSettings, _context: ProducerContext) -> MessageProducer:
    from tidings_zeromq.pub.producer import PubMessageProducer  # noqa: PLC0415 - imports zmq

    return PubMessageProducer(settings)


def _consumer(settings: PubSettings, _name: str | None) -> MessageConsumer:
    from tidings_zeromq.pub.consumer import SubMessageConsumer  # noqa: PLC0415 - imports zmq

    return SubMessageConsumer(settings)


def _capabilities(_settings: PubSettings) -> frozenset[Capability]:
    return frozenset({Capability.LOCK, Capability.OUT_OF_ORDER})


@hookimpl
def tidings_message_producers() -> Iterable[MessageProducerSpec]:
    """Offer the producer."""
    yield MessageProducerSpec(
        name=_NAME,
        settings=PubSettings,
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
        settings=PubSettings,
        requires=_REQUIRES,
        install=_INSTALL,
        factory=_consumer,
    )
