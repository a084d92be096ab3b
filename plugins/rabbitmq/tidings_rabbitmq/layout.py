"""Which queues an exchange's messages go to, and how they get there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PARTITION: Final = "partition"
"""The header by which messages are parted."""
PARTITIONS_SUFFIX: Final = ".partitions"
SINGLE_ACTIVE: Final = {"x-single-active-consumer": True}


class Binding(NamedTuple):
    """A call of the channel's that binds something."""

    method: str
    arguments: Mapping[str, Any]


def queue_of(subscriber: str, partition: int) -> str:
    """Return the name of the queue with that partition of a subscriber's messages."""
    return f"{subscriber}.{partition}"


@dataclass(frozen=True, slots=True)
class QueueLayout:
    """The queues that are made and looked after, each with the keys that it is bound with.

    If the exchange is parted, a subscriber ``S`` has a queue for each partition: ``S.0`` and so on.
    They stand behind an exchange of the subscriber's own, ``S.partitions``. It is bound as the
    subscriber's single queue would be, and chooses the queue by the header ``partition``. So
    partitions go with every type of exchange, and with the routing keys.
    """

    queues: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Routing keys by subscriber; one without any is looked at only."""
    partitions: int = 0

    @property
    def arguments(self) -> Mapping[str, bool]:
        """What a queue is declared with beside what the settings say."""
        return SINGLE_ACTIVE if self.partitions else {}

    def exchanges_of(self, subscriber: str) -> list[str]:
        """Return the exchanges between ours and the subscriber's queues."""
        return [subscriber + PARTITIONS_SUFFIX] if self.partitions else []

    def queues_of(self, subscriber: str) -> list[str]:
        """Return the subscriber's queues."""
        if not self.partitions:
            return [subscriber]
        return [queue_of(subscriber, each) for each in range(self.partitions)]

    def bindings_of(self, subscriber: str, exchange_name: str) -> Iterator[Binding]:
        """Give what leads from the exchange to the subscriber's queues; nothing without keys."""
        keys = self.queues[subscriber]
        if not self.partitions:
            for key in keys:
                yield _queue_bind(subscriber, exchange_name, key)
            return
        parted = subscriber + PARTITIONS_SUFFIX
        for key in keys:
            ends = {"destination": parted, "source": exchange_name}
            yield Binding("exchange_bind", {**ends, "routing_key": key})
        if keys:
            for each, queue_name in enumerate(self.queues_of(subscriber)):
                match = {"x-match": "all", PARTITION: str(each)}
                bind = _queue_bind(queue_name, parted, str(each))
                yield Binding("queue_bind", {**bind.arguments, "arguments": match})


def _queue_bind(queue_name: str, exchange_name: str, routing_key: str) -> Binding:
    arguments = {"queue": queue_name, "exchange": exchange_name, "routing_key": routing_key}
    return Binding("queue_bind", arguments)
