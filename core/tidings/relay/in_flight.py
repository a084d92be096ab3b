"""What was read and is not tracked yet."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidings.interfaces import AcceptedBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.event import StoredEvent

MOST_KEPT = 4096
"""Of an event that is in flight, larger texts are not kept: nobody asks for them any more."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the broker's word settles."""

    newest: StoredEvent
    """The event up to which the exchange has had everything."""
    count: int
    """How many of the settled events the broker was sent; the others were passed over."""
    first: tuple[StoredEvent, float] | None
    """The first of these, and when it was sent; ``None`` if there is none."""

    def batch(self, in_flight: int) -> AcceptedBatch | None:
        """Return what observers are told; ``None`` if none of it was sent."""
        if self.first is None:
            return None
        event, sent_at = self.first
        return AcceptedBatch(
            count=self.count,
            last_event_id=self.newest.event_id,
            seconds_since_occurred=max(time.time() - event.occurred_on.timestamp(), 0.0),
            seconds_since_sent=time.monotonic() - sent_at,
            in_flight=in_flight,
        )


class InFlight:
    """Events in the order in which they were read: sent to the broker, or passed over.

    An event is passed over if the exchange's filter doesn't want it. It is settled, as a sent one
    is, when everything before it is.
    """

    def __init__(self) -> None:
        self._events: deque[tuple[StoredEvent, bool, float]] = deque()
        self._count = 0

    def add(self, events: Iterable[tuple[StoredEvent, bool]], at: float) -> None:
        """Note the next events, each with whether it is sent, and when that was."""
        kept = self._events
        for event, sent in events:
            if sent:
                self._count += 1
            elif kept and not kept[-1][1]:
                kept.pop()  # of several that are passed over the last one says it all
            if len(event.body) > MOST_KEPT or (event.metadata and len(event.metadata) > MOST_KEPT):
                event = event._replace(body="", metadata=None)  # noqa: PLW2901 - the same event
            kept.append((event, sent, at))

    def settle(self, accepted_id: int) -> Settled | None:
        """Forget what the broker has accepted, up to ``accepted_id``; ``None`` if that is none."""
        newest: StoredEvent | None = None
        first: tuple[StoredEvent, float] | None = None
        before = self._count
        while self._events:
            event, sent, at = self._events[0]
            if sent and event.event_id > accepted_id:
                break
            newest = event
            if sent:
                first = first or (event, at)
                self._count -= 1
            self._events.popleft()
        return None if newest is None else Settled(newest, before - self._count, first)

    def newest_sent(self) -> StoredEvent | None:
        """Return the last event that was sent."""
        return next((event for event, sent, _ in reversed(self._events) if sent), None)

    def drop_from(self, event_id: int) -> None:
        """Forget that event and those behind it: they were not sent after all."""
        while self._events and self._events[-1][0].event_id >= event_id:
            self._count -= self._events.pop()[1]

    def __len__(self) -> int:
        """Return how many were sent that are not settled."""
        return self._count
