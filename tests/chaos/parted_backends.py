"""The backends of a parted exchange: who reads it, and another program that reads it, too."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from tests.activemq.client import Client as StompClient
from tests.activemq.client import ids
from tests.chaos.backends import (
    EXCHANGE,
    ActiveMQBackend,
    Backend,
    RabbitMQBackend,
    RabbitMQStreamBackend,
    ZeroMQBackend,
)
from tests.chaos.backends.base import QUIET
from tests.chaos.readers import Reader
from tests.rabbitmq.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARTITIONS: Final = 8
CONSUMERS: Final = 4
AUDIT: Final = "audit"
STANDBY: Final = "standby"
"""The reader that takes over the partitions of one that was killed."""
TYPES: Final = ("invoice.sent", "order.placed", "order.paid")
ROUTED: Final = 'routing_key = "{type_name}"\n'


class Parted(Backend):
    """What a backend under test has beside, if its exchange is parted."""

    readers: Mapping[str, Reader]
    """By name: each is a process of its own."""
    exchange_settings = ""
    """More lines of the exchange's table."""

    @abstractmethod
    def partition(self, number: int, wanted: Sequence[int]) -> Sequence[int]:
        """Return what arrived in one partition, where ``wanted`` should be, to another program."""


def _named(*readers: Reader) -> Mapping[str, Reader]:
    return {each.name: each for each in readers}


def _share(number: int) -> Sequence[int]:
    return range(number, PARTITIONS, CONSUMERS)


class PartedQueues(RabbitMQBackend, Parted):
    """Queues, and a second subscriber's for an independent reader.

    Quorum queues: in RabbitMQ 3.10 a classic queue with a single active consumer may crash when
    that one dies (its issue 5460). It is started again with what it had. But meanwhile the relay
    and the consumers fail, and more is republished than one crash of ours does.
    """

    readers = _named(*(Reader(f"reader-{number}") for number in range(CONSUMERS)))

    @override
    def settings(self) -> str:
        arguments = '{ "x-queue-type" = "quorum" }'
        queues = f'queues = ["{EXCHANGE}", "{AUDIT}"]\nqueue_arguments = {arguments}\n'
        return super().settings() + queues

    @override
    def partition(self, number: int, wanted: Sequence[int]) -> list[int]:
        with Client(self.server.url) as client:
            return client.ids(f"{AUDIT}.{number}")


class PartedStreams(RabbitMQStreamBackend, Parted):
    """A stream for each partition; the readers are told which are theirs."""

    readers = _named(
        *(Reader(f"reader-{number}", partitions=_share(number)) for number in range(CONSUMERS))
    )

    @override
    def partition(self, number: int, wanted: Sequence[int]) -> list[int]:
        name = f"{EXCHANGE}-{number}"
        with Client(self.server.url) as client:
            seen = client.stream(name, max(len(wanted), client.count(name)))
            return [each.event_id for each in seen]


READERS_WITH_A_STANDBY: Final = _named(
    *(Reader(f"reader-{number}", "app", _share(number)) for number in range(CONSUMERS)),
    Reader(STANDBY, "app"),
    Reader("billing", "billing", routing_keys=("invoice.#",)),
)
"""Four read two partitions each, one stands by for all, another subscriber wants some messages."""


class PartedTopic(ActiveMQBackend, Parted):
    """A queue for each subscriber and partition."""

    readers = READERS_WITH_A_STANDBY
    exchange_settings = ROUTED

    subscribers = '{ app = [], billing = ["invoice.#"], independent = [] }'

    @override
    def settings(self) -> str:
        return f'{super().settings()}routing = "topic"\n'

    @override
    def partition(self, number: int, wanted: Sequence[int]) -> list[int]:
        queue = f"Consumer.independent.VirtualTopic.{EXCHANGE}.{number}.>"
        with StompClient(self.server.url) as client:
            found = client.read_fast(queue, len(wanted))
            while (frame := client.frame(QUIET)) is not None:
                found.append(frame)
            return ids(found)


class PartedFeeds(ZeroMQBackend, Parted):
    """Subscribers, of which ``independent`` takes all partitions and is never killed."""

    readers = READERS_WITH_A_STANDBY
    exchange_settings = ROUTED

    subscribers = '["app", "billing", "independent"]'

    @override
    def partition(self, number: int, wanted: Sequence[int]) -> list[int]:
        of_it = set(wanted)
        return [event_id for event_id in self.arrived(max(wanted)) if event_id in of_it]


PARTED: Final[Mapping[str, type[Parted]]] = {
    "rabbitmq": PartedQueues,
    "rabbitmq-stream": PartedStreams,
    "activemq": PartedTopic,
    "zeromq": PartedFeeds,
}
