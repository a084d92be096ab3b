"""What an event store gives to a read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent
    from tidings.interfaces import EventStore, Hold


class Answer(NamedTuple):
    """What the store gave to a read."""

    events: Sequence[StoredEvent]
    hold: Hold | None
    """What held the read, if it gave nothing."""


NOTHING = Answer((), None)


def ask(store: EventStore, since: int, limit: int) -> Answer:
    """Read up to ``limit`` events after ``since``; if there are none, ask what holds them."""
    events = store.all_stored_events_since(since, limit)
    return Answer(events, None if events else store.hold())
