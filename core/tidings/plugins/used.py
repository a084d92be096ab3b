"""Every backend that a configuration uses, and where it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tidings.config import key_path
from tidings.errors import MissingLibraryError, PluginError
from tidings.interfaces import Capability
from tidings.plugins.kinds import EVENT_STORE, OBSERVER, PRODUCER, SERIALIZER, TRACKER, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from tidings.config import Configuration, Table
    from tidings.interfaces import MessageProducer


class Use(NamedTuple):
    """One use of a backend by the configuration."""

    kind: Kind[Any]
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
    if configuration.has_store:
        yield Use(EVENT_STORE, *configuration.store_part(), "event_store.backend")
        tracker = configuration.tracker_part()
        yield Use(TRACKER, *tracker, f"{tracker.path}.backend")
    for name, exchange in configuration.exchanges.items():
        place = key_path(["exchanges", name])
        if exchange.source is not None:
            yield Use(
                EVENT_STORE,
                *configuration.source_part(name),
                f"{place}.source",
                configuration.sources,
            )
        yield Use(
            PRODUCER,
            *configuration.producer_part(name),
            f"{place}.producer",
            configuration.producers,
        )
        yield Use(
            SERIALIZER,
            *configuration.serializer_part(name),
            f"{place}.serializer",
            configuration.serializers,
        )
    for name, table in configuration.observers.items():
        path = key_path(["observers", name])
        yield Use(OBSERVER, table.backend or name, table, path, path)


def shared_sources(
    configuration: Configuration, drained: Callable[[str], Hashable | None]
) -> list[str]:
    """Return a sentence for each exchange that empties what another one empties, too.

    ``drained`` says what an exchange empties, if it does.
    """
    found: list[str] = []
    first: dict[Hashable, str] = {}
    for name in configuration.exchanges:
        what = drained(name)
        if what is not None and first.setdefault(what, name) != name:
            place = key_path(["exchanges", name])
            found.append(
                f"{place}.source: the exchange {first[what]!r} empties the same table, and what "
                "one of them has published the other one never gets. Give each exchange a source "
                "of its own, or record the events in the event store, which any number of "
                "exchanges can read."
            )
    return found


def unfit_producers(
    configuration: Configuration, producer: Callable[[str], MessageProducer]
) -> list[str]:
    """Return a sentence for each exchange that asks for more than its producer can do.

    ``producer`` makes an exchange's producer; nothing is said of one whose library is missing.
    """
    found: list[str] = []
    for name, exchange in configuration.exchanges.items():
        if exchange.routing_key is None and exchange.partition_by is None:
            continue
        place = key_path(["exchanges", name])
        try:
            capabilities = producer(name).capabilities
        except MissingLibraryError:
            continue  # not every command needs it; those that do will say so
        except PluginError as error:
            found.append(f"{place}.producer: {error}")
            continue
        if exchange.routing_key is not None and Capability.ROUTING not in capabilities:
            found.append(
                f"{place}.routing_key: the producer {exchange.producer!r} has no routing keys, at "
                "least with its settings. Leave it out, or choose another producer."
            )
        if exchange.partition_by is not None and Capability.PARTITIONS not in capabilities:
            found.append(
                f"{place}.partition_by: the producer {exchange.producer!r} has no partitions. "
                "Leave it and partitions out, or choose another one."
            )
    return found
