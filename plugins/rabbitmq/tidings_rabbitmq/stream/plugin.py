"""Offers ``rabbitmq-stream`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import BackendSpec, hookimpl
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings


@hookimpl
def tidings_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="rabbitmq-stream",
            settings=RabbitMQStreamSettings,
            producer="tidings_rabbitmq.stream.producer:RabbitMQStreamProducer",
            consumer="tidings_rabbitmq.stream.consumer:RabbitMQStreamConsumer",
            requires=("rstream",),
            install="tidings[rabbitmq-stream]",
        )
    ]
