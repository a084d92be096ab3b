"""Every event store that a configuration names: what several commands work on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.bootstrap import Tidings
    from tidings.interfaces import EventStore


def event_stores(tidings: Tidings) -> dict[str, EventStore]:
    """Return the event store and every other source that an exchange has."""
    stores = {"event store": tidings.event_store()}
    for name, exchange in tidings.configuration.exchanges.items():
        if exchange.source is not None and f"source {exchange.source}" not in stores:
            stores[f"source {exchange.source}"] = tidings.event_store(name)
    return stores


@contextmanager
def checked(store: EventStore) -> Iterator[EventStore]:
    """Check ``store``, give it, and close it."""
    try:
        store.check()
        yield store
    finally:
        store.close()
