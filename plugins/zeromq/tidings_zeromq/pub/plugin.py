"""Offers ``zeromq-pub`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import BackendSpec, hookimpl
from tidings_zeromq.pub.settings import ZeroMQPubSettings


@hookimpl
def tidings_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="zeromq-pub",
            settings=ZeroMQPubSettings,
            producer="tidings_zeromq.pub.producer:ZeroMQPubProducer",
            consumer="tidings_zeromq.pub.consumer:ZeroMQPubConsumer",
            requires=("zmq",),
            install="tidings[zeromq]",
        )
    ]
