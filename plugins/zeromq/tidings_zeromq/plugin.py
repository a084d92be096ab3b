"""Offers ``zeromq`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_zeromq.settings import ZeroMQSettings

NAME = "zeromq"
REQUIRES = ("zmq",)
INSTALL = "tidings[zeromq]"


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    return [
        MessageProducerSpec(
            name=NAME,
            settings=ZeroMQSettings,
            factory="tidings_zeromq.producer:ZeroMQProducer",
            wants_context=True,
            requires=REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=ZeroMQSettings,
            factory="tidings_zeromq.consumer:ZeroMQConsumer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]
