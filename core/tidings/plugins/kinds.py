"""The kinds of things that plugins offer, and which of them a plugin's specs offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tidings.interfaces import (
    EventStore,
    MessageConsumer,
    MessageProducer,
    Observer,
    PublishedMessageTracker,
    Serializer,
)
from tidings.plugins.specs import (
    BackendSpec,
    EventStoreSpec,
    ObserverSpec,
    SerializerSpec,
    Spec,
    TrackerSpec,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """What a configuration may ask a plugin for."""

    word: str
    """What sentences call it."""
    spec: type[S]
    """What offers it."""
    interface: type
    factory: str = "factory"
    """The spec's field with the factory."""

    def offered(self, specs: Iterable[Spec], name: str) -> S | None:
        """Return the first spec that offers this by that name."""
        for spec in specs:
            if isinstance(spec, self.spec) and spec.name == name and self in offers(spec):
                return spec
        return None


PRODUCER = Kind("producer", BackendSpec, MessageProducer, "producer")
CONSUMER = Kind("consumer", BackendSpec, MessageConsumer, "consumer")
EVENT_STORE = Kind("event store", EventStoreSpec, EventStore)
TRACKER = Kind("tracker", TrackerSpec, PublishedMessageTracker)
SERIALIZER = Kind("serializer", SerializerSpec, Serializer)
OBSERVER = Kind("observer", ObserverSpec, Observer)

KINDS: Sequence[Kind[Any]] = (PRODUCER, CONSUMER, EVENT_STORE, TRACKER, SERIALIZER, OBSERVER)


def offers(spec: Spec) -> Iterator[Kind[Any]]:
    """Give each kind that the spec offers."""
    for kind in KINDS:
        if isinstance(spec, kind.spec) and not (kind is CONSUMER and spec.consumer is None):
            yield kind


def told(specs: Sequence[Spec]) -> str:
    """Return the end of a sentence: what a plugin with these specs offers."""
    if not specs:
        return "it offers nothing. Are its hooks marked with tidings.plugins.hookimpl?"
    offered = sorted(f"{kind.word} {spec.name!r}" for spec in specs for kind in offers(spec))
    return f"it offers {', '.join(offered)}."
