"""Under which name a stream's publisher is known: RabbitMQ keeps the newest id of each name."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from tidings.plugins import BrokerRefusedError
from tidings_rabbitmq.stream.topology import SHORT_STRING

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext


def publisher_name(app_id: str, context: ExchangeContext) -> str:
    """Return the name for one store, generation, and way to part.

    The broker drops ids up to a name's newest. If keys belong to other partitions now, a partition
    may be given events with ids below that, which were in flight to another one.
    """
    exchange_name, position = context.exchange_name, context.position
    name = f"{app_id}.{exchange_name}"
    if position.store:
        name += f".{_digits(position.store, 6)}"
    if context.partitions:
        name += f".p{_digits(f'{context.partitions} {context.partition_by}', 4)}"
    if position.generation:
        name += f".g{position.generation}"
    if not exchange_name or len(name.encode()) > SHORT_STRING:
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r}: {name!r} must be a name of at most {SHORT_STRING} bytes "
            "for RabbitMQ, and the exchange's not empty. Use another.",
            exchange_name=exchange_name,
        )
    return name


def _digits(text: str, size: int) -> str:
    return blake2b(text.encode(), digest_size=size).hexdigest()
