"""Offers ``zeromq-pub`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_zeromq.pub.settings import ZeroMQPubSettings

NAME = "zeromq-pub"
REQUIRES = ("zmq",)
INSTALL = "tidings[zeromq]"


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    return [
        MessageProducerSpec(
            name=NAME,
            settings=ZeroMQPubSettings,
            factory="tidings_zeromq.pub.producer:ZeroMQPubProducer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=ZeroMQPubSettings,
            factory="tidings_zeromq.pub.consumer:ZeroMQPubConsumer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]
