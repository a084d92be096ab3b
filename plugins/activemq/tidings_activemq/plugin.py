"""Offers ``activemq`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import BackendSpec, hookimpl
from tidings_activemq.settings import ActiveMQSettings


@hookimpl
def tidings_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="activemq",
            settings=ActiveMQSettings,
            producer="tidings_activemq.producer:ActiveMQProducer",
            consumer="tidings_activemq.consumer:ActiveMQConsumer",
            requires=("stomp",),
            install="tidings[activemq]",
        )
    ]
