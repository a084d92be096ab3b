"""What one subscriber is sent, as the relay has it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tidings_zeromq.endpoint import Sent
from tidings_zeromq.selection import EVERYTHING
from tidings_zeromq.wire import NO_ID, encode_beginning, encode_events, encode_gap, encode_omission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_zeromq.backlog import BacklogEvent
    from tidings_zeromq.endpoint import Endpoint
    from tidings_zeromq.selection import Selection


class Budget:
    """How many bytes several subscribers may have in flight together."""

    def __init__(self, size: int) -> None:
        self.left = size


class SentFeed:
    """What was sent over one connection since the subscriber last said where to begin."""

    def __init__(
        self,
        endpoint: Endpoint,
        connection: bytes,
        name: str,
        nonce: int,
        start_id: int,
        *,
        capacity: int,
        budget: Budget,
        store: str = "",
        selection: Selection = EVERYTHING,
    ) -> None:
        self.name = name
        self.nonce = nonce
        self.selection = selection
        self.sent_id = start_id
        """The newest event sent or left out, or where the feed began."""
        self.gone = False
        self.read_store_at = 0.0
        """When to ask the event store again, by the monotonic clock."""
        self.searched_from = NO_ID
        """After which id it was last found out whether events are gone."""
        self.batch = 1
        """How many events to ask the event store for."""
        self.kept: tuple[int, list[BacklogEvent]] | None = None
        """What the event store took long to give, and after which id it comes."""
        self._told_id = start_id  # the subscriber has been told of all up to here
        self._start_id = start_id
        self._store = store
        self._endpoint = endpoint
        self._connection = connection
        self._in_flight: deque[tuple[int, int, int]] = deque()
        self._room = capacity
        self._budget = budget
        self._unread_before = 0  # bytes of the feed before, on the same connection

    @property
    def room(self) -> int:
        """How many events more the subscriber may have in flight.

        With nothing in flight one frame always may be, whoever has used up the budget.
        """
        if self.gone or (self._in_flight and self._budget.left <= 0):
            return 0
        return self._room

    @property
    def unread(self) -> int:
        """How many bytes were sent, over this connection, that nobody is known to have taken."""
        return self._unread_before + sum(size for _, _, size in self._in_flight)

    def begin(self) -> None:
        """Tell the subscriber where its feed began; also shows whether it is still there."""
        self._send(encode_beginning(self.nonce, self._start_id, self._store))

    def tell_gap(self, oldest_id: int) -> None:
        """Tell the subscriber that what it lacks before ``oldest_id`` was deleted."""
        self._send(encode_gap(self.nonce, oldest_id))

    def push(self, events: Sequence[bytes], last_id: int, reached_id: int) -> bool:
        """Send the next events in one frame; false if the connection takes no more.

        ``last_id`` is the last one's, ``reached_id`` the newest after it that is left out.
        """
        if events:
            frame = encode_events(self.nonce, self._told_id, events)
            if not self._put(frame, last_id, len(events)):
                return False
        self.sent_id = reached_id
        return True

    def tell_omission(self) -> None:
        """Tell the subscriber of what is left out since the last frame, if anything is."""
        if self._told_id < self.sent_id and self.room:
            frame = encode_omission(self.nonce, self._told_id, self.sent_id)
            self._put(frame, self.sent_id, 1)

    def follow(self, before: SentFeed) -> None:
        """Go on in place of ``before``, whose frames may still be in flight.

        What is read for it may have come too late for it, and is in time for this one.
        """
        self.batch = before.batch
        self.kept = before.kept
        self._unread_before = before.unread
        self._budget.left -= self._unread_before
        before.end()

    def end(self) -> None:
        """Give back what is taken of the budget."""
        self._budget.left += self.unread
        self._in_flight.clear()
        self._unread_before = 0

    def received(self, event_id: int) -> None:
        """Hear that the subscriber took everything up to ``event_id``."""
        in_flight = self._in_flight
        while in_flight and in_flight[0][0] <= event_id:
            _, count, size = in_flight.popleft()
            self._room += count
            self._budget.left += size + self._unread_before
            self._unread_before = 0  # it came before, over the same connection

    def _put(self, frame: bytes, newest_id: int, count: int) -> bool:
        """Send a frame that the subscriber answers; it takes the room of ``count`` events."""
        if not self._send(frame):
            return False
        self._told_id = newest_id
        self._in_flight.append((newest_id, count, len(frame)))
        self._room -= count
        self._budget.left -= len(frame)
        return True

    def _send(self, frame: bytes) -> bool:
        sent = self._endpoint.send(self._connection, frame)
        self.gone = self.gone or sent is Sent.GONE
        return sent is Sent.TAKEN
