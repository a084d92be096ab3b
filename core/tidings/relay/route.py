"""What an exchange is made of, and what is sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tidings.errors import UndeliverableEventError
from tidings.interfaces import Notification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent
    from tidings.interfaces import (
        EventStore,
        MessageProducer,
        PublishedMessageTracker,
        Quarantine,
        Serializer,
    )
    from tidings.plugins.specs import Capability
    from tidings.relay.observers import Observers


@dataclass(frozen=True, slots=True)
class Route:
    """What an exchange is made of."""

    exchange_name: str
    event_store: EventStore
    tracker: PublishedMessageTracker
    producer: MessageProducer
    serializer: Serializer
    observers: Observers
    capabilities: frozenset[Capability] = frozenset()
    events: Sequence[str] = ()
    """Type names to send, with wildcards; all where there is none."""
    batch_size: int = 1000
    lease_seconds: float = 15.0
    quarantine: Quarantine | None = None
    """Where events are noted that can never be sent; none where the tracker has no such place."""
    passes_poison: bool = False
    """Whether such an event is put in quarantine and passed; else it stops the exchange."""


def notification(exchange_name: str, serializer: Serializer, event: StoredEvent) -> Notification:
    """Return what is to be sent for ``event``, or raise ``UndeliverableEventError``."""
    try:
        message = serializer.serialize(event)
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise UndeliverableEventError(
            f"Exchange {exchange_name!r}: event {event.event_id} ({event.type_name}) cannot be "
            f"serialized: {reason}. Mend it in the event store.",
            exchange_name=exchange_name,
            event_id=event.event_id,
        ) from error
    return Notification(message, event.type_name, event.event_id, event.occurred_on)


def wanted(patterns: Sequence[str], type_name: str) -> bool:
    """Return whether an exchange with these patterns sends events of that type."""
    return not patterns or any(fnmatchcase(type_name, pattern) for pattern in patterns)
