"""The parts in memory that a configuration names: one of each in a process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tidings.builtin.memory import (
    InMemoryBroker,
    InMemoryConsumer,
    InMemoryEventStore,
    InMemoryProducer,
    InMemoryTracker,
)

if TYPE_CHECKING:
    from tidings.plugins.specs import Settings


@cache
def event_store(_settings: Settings) -> InMemoryEventStore:
    return InMemoryEventStore()


@cache
def tracker(_settings: Settings) -> InMemoryTracker:
    return InMemoryTracker()


@cache
def broker() -> InMemoryBroker:
    """Return the broker of all producers and consumers."""
    return InMemoryBroker()


def producer(_settings: Settings) -> InMemoryProducer:
    """Return a producer for the broker."""
    return InMemoryProducer(broker())


def consumer(_settings: Settings, subscriber: str | None) -> InMemoryConsumer:
    """Return a consumer for the broker."""
    return InMemoryConsumer(broker(), subscriber or "app")
