"""Every backend that a configuration uses, and where it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidings.config import key_path
from tidings.plugins.specs import (
    EventStoreSpec,
    MessageProducerSpec,
    ObserverSpec,
    SerializerSpec,
    Spec,
    TrackerSpec,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidings.config import Configuration, Table


class Use(NamedTuple):
    """One use of a backend by the configuration."""

    kind: type[Spec]
    backend: str
    table: Table
    path: str
    """Where the backend's settings stand."""
    word: str
    """Where the backend is named."""
    tables: Iterable[str] = ()
    """What could be named there besides backends."""


def used_backends(configuration: Configuration) -> Iterator[Use]:
    """Give every use of a backend, in the order of the file."""
    yield Use(EventStoreSpec, *configuration.store_part(), "event_store.backend")
    tracker = configuration.tracker_part()
    yield Use(TrackerSpec, *tracker, f"{tracker.path}.backend")
    for name, exchange in configuration.exchanges.items():
        place = key_path(["exchanges", name])
        if exchange.source is not None:
            yield Use(
                EventStoreSpec,
                *configuration.source_part(name),
                f"{place}.source",
                configuration.sources,
            )
        yield Use(
            MessageProducerSpec,
            *configuration.producer_part(name),
            f"{place}.producer",
            configuration.producers,
        )
        yield Use(
            SerializerSpec,
            *configuration.serializer_part(name),
            f"{place}.serializer",
            configuration.serializers,
        )
    for name, table in configuration.observers.items():
        path = key_path(["observers", name])
        yield Use(ObserverSpec, table.backend or name, table, path, path)
