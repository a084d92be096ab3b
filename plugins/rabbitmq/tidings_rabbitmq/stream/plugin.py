"""Offers ``rabbitmq-stream`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

NAME = "rabbitmq-stream"
REQUIRES = ("rstream",)
INSTALL = "tidings[rabbitmq-stream]"


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    return [
        MessageProducerSpec(
            name=NAME,
            settings=RabbitMQStreamSettings,
            factory="tidings_rabbitmq.stream.producer:RabbitMQStreamProducer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=RabbitMQStreamSettings,
            factory="tidings_rabbitmq.stream.consumer:RabbitMQStreamConsumer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]
