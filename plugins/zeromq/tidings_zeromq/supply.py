"""Sends subscribers what they lack: from memory, and what is older out of the event store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidings.plugins import escaping_logger
from tidings_zeromq.selection import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_zeromq.backlog import Backlog, BacklogEvent
    from tidings_zeromq.recent_events import RecentEvents
    from tidings_zeromq.sent_feed import SentFeed

log = escaping_logger("tidings.zeromq")

FRAME_EVENTS = 128
FRAME_BYTES = 128 * 1024
"""What one frame holds at most, but for one event that is larger."""

NOTHING_TO_DO = 10.0
"""Seconds."""

_STORE_DELAY = 0.1  # seconds until a store that had nothing is asked again
_STORE_FAILED_DELAY = 1.0
_KEPT_GAPS = 1000
_SLOW = 0.1
"""Seconds for a read. A subscriber asks anew after 0.5, and takes nothing then of its old feed."""


class Supply:
    """Where the events of one exchange are, for each feed.

    Used by one thread at a time.
    """

    def __init__(self, exchange_name: str, recent: RecentEvents, backlog: Backlog) -> None:
        self._exchange_name = exchange_name
        self._recent = recent
        self._backlog = backlog
        self._told_gaps: set[tuple[str, int]] = set()

    def send_what_is_lacking(self, feed: SentFeed, now: float) -> float:
        """Send one step's worth; return in how many seconds there may be more to send."""
        if feed.sent_id < self._recent.floor:
            return self._send_from_store(feed, now)
        feed.kept = None
        self._send_recent(feed)
        return NOTHING_TO_DO

    def _send_recent(self, feed: SentFeed) -> None:
        recent, selection = self._recent, feed.selection
        while feed.room and feed.sent_id < recent.newest_id:
            count = min(feed.room, FRAME_EVENTS)
            if selection is EVERYTHING:
                events, last = recent.after(feed.sent_id, count, FRAME_BYTES)
                pushed = feed.push(events, last, last)
            else:
                pushed = feed.push(
                    *recent.wanted_after(feed.sent_id, count, FRAME_BYTES, selection)
                )
            if not pushed:
                return

    def _look_for_gap(self, feed: SentFeed, found: list[BacklogEvent]) -> None:
        """Say on both sides if events were deleted between the last one sent and ``found``."""
        last = feed.sent_id
        if found[0].event_id == last + 1 if found else feed.searched_from == last:
            return
        feed.searched_from = last
        oldest = self._backlog.first_left(last)
        if oldest is None:
            return
        feed.tell_omission()
        feed.tell_gap(oldest)
        if len(self._told_gaps) <= _KEPT_GAPS and (feed.name, last) not in self._told_gaps:
            self._told_gaps.add((feed.name, last))
            log.warning(
                "Subscriber %r of exchange %r asks for events from %d on; those before %d are no "
                "longer in the event store, and it does not get them.",
                feed.name,
                self._exchange_name,
                last + 1,
                oldest,
            )

    def _read(self, feed: SentFeed, limit: int) -> list[BacklogEvent] | None:
        kept, feed.kept = feed.kept, None
        if kept is not None and kept[0] == feed.sent_id:
            return kept[1][:limit]
        begun = time.monotonic()
        found = self._backlog.after(feed.sent_id, limit)
        if found and time.monotonic() - begun > _SLOW:
            feed.kept = feed.sent_id, found
        return found

    def _send_from_store(self, feed: SentFeed, now: float) -> float:
        if now < feed.read_store_at:
            return feed.read_store_at - now
        # What is left out takes no room.
        everything = feed.selection is EVERYTHING
        limit = min(feed.room, feed.batch) if everything else feed.batch
        found = self._read(feed, limit)
        if found is not None:
            self._look_for_gap(feed, found)
        if not found:
            # Nothing *now*: an id below may still appear. Never take it for "nothing there".
            delay = _STORE_FAILED_DELAY if found is None else _STORE_DELAY
            feed.read_store_at = now + delay
            return delay
        # What is newer than the floor is in memory, and is sent from there.
        older = [each for each in found if each.event_id <= self._recent.floor]
        if not older:
            self._send_recent(feed)
            return NOTHING_TO_DO
        events, last, reached = _wanted(older, feed)
        feed.push(events, last, reached)
        affordable = FRAME_BYTES * len(older) // (sum(map(len, events)) + 1)
        feed.batch = max(1, min(FRAME_EVENTS, feed.batch * 4, affordable))
        return 0.0


def _wanted(found: Sequence[BacklogEvent], feed: SentFeed) -> tuple[list[bytes], int, int]:
    """Return those that a feed asks for and that it has room for, as one frame takes them.

    With the last one's id, and the id up to which there are no others.
    """
    events: list[bytes] = []
    last = reached = feed.sent_id
    size = FRAME_BYTES
    for event_id, event, address in found:
        if feed.selection.wants(address):
            if len(events) == feed.room or (events and size < len(event)):
                break
            events.append(event)
            size -= len(event)
            last = event_id
        reached = event_id
    return events, last, reached
