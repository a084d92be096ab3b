"""What a shared reader keeps for a moment, to give it to several exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import threading

    from tidings.event import StoredEvent
    from tidings.relay.answer import Answer


class Kept(NamedTuple):
    answer: Answer
    begun: float
    size: int


class Quiet(NamedTuple):
    """A poll that found nothing behind an id, and nothing that holds a read there."""

    since: int
    polled: float
    """When it began."""
    begun: float
    """The same, or when the store last said that nothing was committed since."""


class FoundEvent(NamedTuple):
    """The event that somebody's position is at, as it was found."""

    event: StoredEvent | None
    event_id: int
    begun: float


class Told(NamedTuple):
    """What the store has told of itself."""

    answer: Any
    begun: float


class Waiting(NamedTuple):
    """What an exchange waits for: an event behind an id."""

    since: int
    limit: int
    came: threading.Event
