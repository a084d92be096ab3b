"""Offers ``rabbitmq`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import MessageConsumerSpec, MessageProducerSpec, hookimpl
from tidings_rabbitmq.settings import RabbitMQSettings

NAME = "rabbitmq"
REQUIRES = ("pika",)
INSTALL = "tidings[rabbitmq]"


@hookimpl
def tidings_message_producers() -> list[MessageProducerSpec]:
    return [
        MessageProducerSpec(
            name=NAME,
            settings=RabbitMQSettings,
            factory="tidings_rabbitmq.producer:RabbitMQProducer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]


@hookimpl
def tidings_message_consumers() -> list[MessageConsumerSpec]:
    return [
        MessageConsumerSpec(
            name=NAME,
            settings=RabbitMQSettings,
            factory="tidings_rabbitmq.consumer:RabbitMQConsumer",
            requires=REQUIRES,
            install=INSTALL,
        )
    ]
