"""What is handed to a producer in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import UndeliverableEventError
from tidings.relay.route import notification, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent
    from tidings.interfaces import Notification, NotificationMessage
    from tidings.relay.poison import Poison
    from tidings.relay.route import Route

MOST_EVENTS = 100
"""A process that was frozen, and lost its lease meanwhile, still sends what it had handed over."""

MOST_BYTES = 256 * 1024
"""Of bodies and headers; a single event may have more."""


class Batch(NamedTuple):
    """The first of some events, made ready for a producer."""

    events: Sequence[tuple[StoredEvent, bool]]
    """Each with whether it is sent; the others are passed over."""
    notifications: Sequence[Notification]
    """Those that are sent."""
    error: UndeliverableEventError | None = None
    """Why the event that follows cannot be sent, and ended the batch."""

    def place_of(self, event_id: int | None) -> int | None:
        """Return where in ``events`` that one stands; ``None`` if it isn't one that is sent."""
        for place, (event, sent) in enumerate(self.events):
            if sent and event.event_id == event_id:
                return place
        return None


def next_batch(route: Route, events: Sequence[StoredEvent], poison: Poison) -> Batch:
    """Return the first batch of ``events``."""
    taken: list[tuple[StoredEvent, bool]] = []
    notifications: list[Notification] = []
    size = 0
    patterns = route.events
    for event in events:
        sent = not patterns or wanted(patterns, event.type_name)
        if sent:
            error = poison.error_of(event.event_id)
            if error is not None:
                return Batch(taken, notifications, error)
            try:
                made = notification(route.exchange_name, route.serializer, event, route.addressing)
            except UndeliverableEventError as error:
                return Batch(taken, notifications, error)
            notifications.append(made)
            size += _size(made.message)
        taken.append((event, sent))
        if len(notifications) >= MOST_EVENTS or size >= MOST_BYTES:
            break
    return Batch(taken, notifications)


def _size(message: NotificationMessage) -> int:
    return len(message.body) + sum(map(len, message.headers.values()))
