"""Databases with events in them, and relays that read those."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidings import NewEvent, Tidings
from tidings.config import parse
from tidings.plugins.registry import PluginRegistry
from tidings.relay.exchange_relay import ExchangeRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidings import EventStore, NotificationMessage, StoredEvent

BODY_BYTES = 300
BATCH = 5000
WARM_UP = 200
"""Events that are relayed before the clock starts: connections are open then, statements known."""

TYPES = ("OrderPlaced", "OrderPaid", "OrderShipped")


def configured(
    database_url: str,
    exchange_name: str = "benchmark",
    producer: str = "jsonlines",
    settings: Mapping[str, Any] | None = None,
) -> Tidings:
    """Return what a configuration file with these settings would describe."""
    configuration, faults = parse(
        {
            "event_store": {"backend": "sqlalchemy", "url": database_url},
            "exchanges": {exchange_name: {"producer": producer}},
            "producers": {producer: dict(settings or {})},
        }
    )
    tidings = Tidings(configuration, PluginRegistry())
    if faults := faults + tidings.problems():
        raise RuntimeError(f"The benchmark's own configuration is wrong: {faults}")
    return tidings


def new_event(number: int, body_bytes: int = BODY_BYTES) -> NewEvent:
    """Return an event whose body takes so many bytes as JSON."""
    text = "x" * (body_bytes - len('{"text":""}'))
    return NewEvent(TYPES[number % len(TYPES)], {"text": text}, aggregate_id=f"order-{number // 3}")


def fill(database_url: str, count: int, body_bytes: int = BODY_BYTES) -> None:
    """Make the tables where they are missing, and store ``count`` more events."""
    with configured(database_url) as tidings:
        store = tidings.event_store()
        store.create()
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            with store.transaction() as transaction:
                store.append(transaction, *(new_event(number, body_bytes) for number in numbers))
        store.close()


@contextmanager
def relaying(
    exchange_name: str,
    database_url: str,
    producer: str,
    settings: Mapping[str, Any],
    *,
    warm_up: int = WARM_UP,
) -> Iterator[Callable[[], int]]:
    """Give what relays every stored event: read, serialised, sent, accepted, tracked."""
    with configured(database_url, exchange_name, producer, settings) as tidings:
        relay = ExchangeRelay(tidings.route(exchange_name))
        relay.start()
        relay.step(warm_up)
        relay.flush()
        warm = relay.accepted_count

        def work() -> int:
            while relay.step():
                pass
            relay.flush()
            return relay.accepted_count - warm

        yield work
        relay.stop()


def messages(database_url: str, count: int) -> Iterator[tuple[StoredEvent, NotificationMessage]]:
    """Give the first stored events, as a relay would serialise them."""
    with configured(database_url) as tidings:
        serializer = tidings.serializer("benchmark")
        store = tidings.event_store()
        for event in _events(store, count):
            yield event, serializer.serialize(event)
        store.close()


def _events(store: EventStore, count: int) -> Iterator[StoredEvent]:
    last = 0
    while count and (events := store.all_stored_events_since(last, min(count, BATCH))):
        yield from events
        last = events[-1].event_id
        count -= len(events)
