"""What an operator must hear of an exchange and its event store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import UnreadableEventError
from tidings.relay.route import stand_in, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent
    from tidings.interfaces import EventStore

_LOOK = 1000
_STEP = 100


def describe_gone(store: EventStore, after: int) -> str | None:
    """Say what is asked for after ``after`` and is not in ``store``; ``None``: nothing.

    Nobody knows whether it was ever stored: ids are drawn by transactions that roll back, too.
    """
    oldest = store.oldest_event_id()
    if oldest is None or oldest <= after + 1:
        return None
    return (
        f"The event store begins with event {oldest}: whatever was stored from {after + 1} to "
        f"{oldest - 1} cannot come again."
    )


def passed_unmatched(store: EventStore, patterns: Sequence[str], position: int) -> int:
    """Return how many events a filter has passed if it has matched none of them, else 0.

    Of those up to ``position`` only the newest thousand ids are looked at, so that it is cheap. A
    read, so that what :meth:`~tidings.interfaces.EventStore.hold` says is of this one afterwards.
    """
    if not patterns:
        return 0
    seen = 0
    after = max(position - _LOOK, 0)
    while events := _next_events(store, after):
        passed = [event for event in events if event.event_id <= position]
        if any(wanted(patterns, event.type_name) for event in passed):
            return 0
        seen += len(passed)
        after = events[-1].event_id
        if len(passed) < len(events):
            break
    return seen


def _next_events(store: EventStore, after: int) -> Sequence[StoredEvent]:
    try:
        return store.all_stored_events_since(after, _STEP)
    except UnreadableEventError as error:
        return [stand_in(error)]
