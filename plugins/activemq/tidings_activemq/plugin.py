"""Offers ``activemq`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_activemq.settings import ActiveMQSettings

NAME = "activemq"
REQUIRES = ("stomp",)
INSTALL = "tidings[activemq]"


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    return [
        MessageProducerSpec(
            name=NAME,
            settings=ActiveMQSettings,
            factory="tidings_activemq.producer:ActiveMQProducer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=ActiveMQSettings,
            factory="tidings_activemq.consumer:ActiveMQConsumer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]
