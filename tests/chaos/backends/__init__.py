"""The backends under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.chaos.backends.activemq import ActiveMQBackend
from tests.chaos.backends.base import EXCHANGE, Backend
from tests.chaos.backends.rabbitmq import RabbitMQBackend, RabbitMQStreamBackend
from tests.chaos.backends.zeromq import ZeroMQBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BACKENDS: Final[Mapping[str, Callable[..., Backend]]] = {
    "rabbitmq": RabbitMQBackend,
    "rabbitmq-tail": lambda folder: RabbitMQBackend(folder, "tail"),
    "rabbitmq-stream": RabbitMQStreamBackend,
    "activemq": ActiveMQBackend,
    "zeromq": ZeroMQBackend,
}

__all__ = [
    "BACKENDS",
    "EXCHANGE",
    "ActiveMQBackend",
    "Backend",
    "RabbitMQBackend",
    "RabbitMQStreamBackend",
    "ZeroMQBackend",
]
