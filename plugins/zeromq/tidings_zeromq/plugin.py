"""Offers ``zeromq`` to tidings. Imports no broker's library until a factory is called."""

from tidings.plugins import BackendSpec, hookimpl
from tidings_zeromq.settings import ZeroMQSettings


@hookimpl
def tidings_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="zeromq",
            settings=ZeroMQSettings,
            producer="tidings_zeromq.producer:ZeroMQProducer",
            wants_context=True,
            consumer="tidings_zeromq.consumer:ZeroMQConsumer",
            requires=("zmq",),
            install="tidings[zeromq]",
        )
    ]
