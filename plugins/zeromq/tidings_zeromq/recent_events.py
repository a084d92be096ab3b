"""The events that are kept in memory: the newest, up to a number and a size."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings_zeromq.selection import Selection, Traits

_COMPACT = 1024  # freed places at the front before the lists are cut


class RecentEvents:
    """The newest events sent to an exchange, in order.

    Those that wait for acknowledgement are always here; of the others as many as fit beside them.
    """

    def __init__(self, floor: int, capacity: int, capacity_bytes: int) -> None:
        self.floor = floor
        """Every event sent after this id is here."""
        self.newest_id = floor
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._ids: list[int] = []
        self._events: list[bytes] = []
        self._traits: list[Traits] = []
        self._first = 0
        self._accepted = 0  # index after the last accepted event
        self._bytes = 0
        self._unaccepted_bytes = 0

    @property
    def unaccepted(self) -> int:
        """How many events wait for acknowledgement."""
        return len(self._ids) - self._accepted

    @property
    def first_unaccepted_id(self) -> int:
        """The oldest event that waits for acknowledgement; there is one."""
        return self._ids[self._accepted]

    @property
    def full(self) -> bool:
        """Whether no more events may be appended before some are accepted."""
        return self.unaccepted >= self._capacity or self._unaccepted_bytes >= self._capacity_bytes

    def append(self, event_id: int, event: bytes, traits: Traits) -> None:
        """Add the newest event."""
        self._ids.append(event_id)
        self._events.append(event)
        self._traits.append(traits)
        self._bytes += len(event)
        self._unaccepted_bytes += len(event)
        self.newest_id = event_id
        self._trim()

    def accept(self, event_id: int) -> int | None:
        """Take all up to ``event_id`` for accepted; return the newest that newly is."""
        accepted = bisect_right(self._ids, event_id, self._accepted)
        if accepted == self._accepted:
            return None
        self._unaccepted_bytes -= sum(map(len, self._events[self._accepted : accepted]))
        self._accepted = accepted
        newest = self._ids[accepted - 1]
        self._trim()
        return newest

    def after(self, event_id: int, count: int, size: int) -> tuple[list[bytes], int]:
        """Return the events after ``event_id``, and the last one's id.

        At most ``count``, and no more bytes than ``size``, but at least one if there is one.
        """
        start = end = bisect_right(self._ids, event_id, self._first)
        stop = min(start + count, len(self._ids))
        while end < stop and (size := size - len(self._events[end])) >= 0:
            end += 1
        end = max(end, min(start + 1, stop))
        return self._events[start:end], self._ids[end - 1] if end > start else event_id

    def wanted_after(
        self, event_id: int, count: int, size: int, selection: Selection
    ) -> tuple[list[bytes], int, int]:
        """Return those events after ``event_id`` that are asked for, and the last one's id.

        Within the bounds of :meth:`after`. The third is the id up to which there are no others.
        """
        found: list[bytes] = []
        last = reached = event_id
        for place in range(bisect_right(self._ids, event_id, self._first), len(self._ids)):
            if selection.wants(self._traits[place]):
                event = self._events[place]
                if len(found) == count or (found and size < len(event)):
                    break
                found.append(event)
                size -= len(event)
                last = self._ids[place]
            reached = self._ids[place]
        return found, last, reached

    def _trim(self) -> None:
        while self._first < self._accepted and (
            len(self._ids) - self._first > self._capacity or self._bytes > self._capacity_bytes
        ):
            self.floor = self._ids[self._first]
            self._bytes -= len(self._events[self._first])
            self._events[self._first] = b""
            self._first += 1
        if self._first >= _COMPACT:
            del self._ids[: self._first], self._events[: self._first]
            del self._traits[: self._first]
            self._accepted -= self._first
            self._first = 0
