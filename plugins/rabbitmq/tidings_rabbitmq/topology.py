"""What an exchange's name means on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import BrokerRefusedError
from tidings_rabbitmq.settings import SHORT_STRING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings_rabbitmq.connection import Connection

LOCK_SUFFIX = ".relay"
TAIL_SUFFIX = ".tail"


def check_name(exchange_name: str) -> None:
    """Raise where AMQP cannot hold the names that we make of the exchange's."""
    room = SHORT_STRING - max(len(LOCK_SUFFIX), len(TAIL_SUFFIX))
    if not exchange_name or len(exchange_name.encode()) > room:
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r}: its name must have between 1 and {room} bytes for "
            "RabbitMQ. Use a shorter one.",
            exchange_name=exchange_name,
        )


def declare(
    connection: Connection, queue_name: str, queue_arguments: Mapping[str, bool | int | str]
) -> None:
    """Declare the durable fanout exchange and a durable queue bound to it."""
    channel, exchange_name = connection.channel, connection.exchange_name
    connection.call(
        channel.exchange_declare, exchange=exchange_name, exchange_type="fanout", durable=True
    )
    connection.call(
        channel.queue_declare, queue=queue_name, durable=True, arguments=dict(queue_arguments)
    )
    connection.call(channel.queue_bind, queue=queue_name, exchange=exchange_name)
