"""How far an exchange is behind its event store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import UnreadableEventError
from tidings.event import MAX_EVENT_ID

if TYPE_CHECKING:
    from tidings.event import StoredEvent
    from tidings.interfaces import EventStore, Hold


MOST_COUNTED = 10_000
"""Events: more are not counted, so that a look takes no longer when many more are behind."""


MOST_UNREADABLE = 20
"""Events: behind more that cannot be read, none is looked for whose time is known."""


class Lag(NamedTuple):
    """What is stored behind a position."""

    newest_event_id: int | None
    events: int
    """How many; beyond :data:`MOST_COUNTED` how far their ids go, which is as many or more."""
    is_exact: bool
    """Whether they were counted."""
    seconds: float
    """Since the oldest of them occurred, or since the transaction began that holds them up.

    0 if the first :data:`MOST_UNREADABLE` cannot be read."""
    hold: Hold | None


def lag(store: EventStore, position: int) -> Lag:
    """Return what ``store`` has behind ``position``, as it is now."""
    next_event = _next_readable(store, position)
    hold = store.hold()
    seconds = hold.seconds if hold else 0.0
    if next_event is not None:
        seconds = (datetime.now(UTC) - next_event.occurred_on).total_seconds()
    newest = store.newest_event_id()
    events = store.count_stored_events_between(position, MAX_EVENT_ID, MOST_COUNTED + 1)
    is_exact = events <= MOST_COUNTED
    if not is_exact:
        events = max(events, (newest or 0) - position)
    return Lag(newest, events, is_exact, max(seconds, 0.0), hold)


def counted(events: int) -> str:
    """Return for people what was counted up to one more than :data:`MOST_COUNTED`."""
    return str(events) if events <= MOST_COUNTED else f"more than {MOST_COUNTED}"


def _next_readable(store: EventStore, after: int) -> StoredEvent | None:
    """Return the first event after that id whose time is known; ``None`` if it is not near.

    Each that cannot be read takes several questions, and there may be millions.
    """
    for _ in range(MOST_UNREADABLE):
        try:
            events = store.all_stored_events_since(after, 1)
        except UnreadableEventError as error:
            after = error.event_id
        else:
            return events[0] if events else None
    return None
