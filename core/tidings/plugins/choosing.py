"""What a consumer may choose of an exchange: routing keys, and partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import ConfigurationError
from tidings.interfaces import Capability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.config import Exchange
    from tidings.interfaces import MessageConsumer


def choose_routing_keys(
    consumer: MessageConsumer, exchange_name: str, exchange: Exchange, routing_keys: Sequence[str]
) -> None:
    """Let the consumer get these only, if any are named; ``ConfigurationError`` if it cannot."""
    if not routing_keys:
        return
    if Capability.ROUTING not in consumer.capabilities:
        problem = (
            f"a subscriber of {exchange.producer!r} gets every event; it cannot choose by "
            "routing key"
        )
        raise ConfigurationError([f"Exchange {exchange_name!r}: {problem}."])
    consumer.select(routing_keys)


def choose_partitions(
    consumer: MessageConsumer, exchange_name: str, exchange: Exchange, partitions: Sequence[int]
) -> None:
    """Let the consumer get these only, all if none is named; as with routing keys."""
    count, problem = exchange.partitions, ""
    if partitions and count is None:
        problem = "it has no partitions to choose from: set partition_by and partitions"
    elif partitions and Capability.PARTITIONS not in consumer.capabilities:
        problem = f"a subscriber of {exchange.producer!r} cannot choose partitions"
    elif count is not None and any(not 0 <= each < count for each in partitions):
        problem = f"its partitions are 0 to {count - 1}"
    if problem:
        raise ConfigurationError([f"Exchange {exchange_name!r}: {problem}."])
    if count is not None and Capability.PARTITIONS in consumer.capabilities:
        consumer.select_partitions(partitions, count)
