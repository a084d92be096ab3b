"""Offers ``rabbitmq`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import BackendSpec, hookimpl
from tidings_rabbitmq.settings import RabbitMQSettings


@hookimpl
def tidings_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="rabbitmq",
            settings=RabbitMQSettings,
            producer="tidings_rabbitmq.producer:RabbitMQProducer",
            consumer="tidings_rabbitmq.consumer:RabbitMQConsumer",
            requires=("pika",),
            install="tidings[rabbitmq]",
        )
    ]
