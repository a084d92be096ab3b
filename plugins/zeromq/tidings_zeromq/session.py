"""One subscriber's stream, as the relay has it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tidings_zeromq.endpoint import Sent
from tidings_zeromq.wire import encode_beginning, encode_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_zeromq.endpoint import Endpoint


class Session:
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
        capacity_bytes: int,
    ) -> None:
        self.name = name
        self.nonce = nonce
        self.sent_id = start_id
        """The newest event sent, or where the stream began."""
        self.gone = False
        self.read_store_at = 0.0
        """When to ask the event store again, by the monotonic clock."""
        self.batch = 1
        """How many events to ask the event store for."""
        self._start_id = start_id
        self._endpoint = endpoint
        self._connection = connection
        self._in_flight: deque[tuple[int, int, int]] = deque()
        self._room = capacity
        self._room_bytes = capacity_bytes

    @property
    def room(self) -> int:
        """How many events more the subscriber may have in flight."""
        return 0 if self.gone or self._room_bytes <= 0 else self._room

    def begin(self) -> None:
        """Tell the subscriber where its stream began; also shows whether it is still there."""
        self._send(encode_beginning(self.nonce, self._start_id))

    def push(self, events: Sequence[bytes], last_id: int) -> bool:
        """Send the next events in one frame; false where the connection takes no more."""
        frame = encode_events(self.nonce, self.sent_id, events)
        if not self._send(frame):
            return False
        self.sent_id = last_id
        self._in_flight.append((last_id, len(events), len(frame)))
        self._room -= len(events)
        self._room_bytes -= len(frame)
        return True

    def received(self, event_id: int) -> None:
        """Hear that the subscriber took everything up to ``event_id``."""
        in_flight = self._in_flight
        while in_flight and in_flight[0][0] <= event_id:
            _, count, size = in_flight.popleft()
            self._room += count
            self._room_bytes += size

    def _send(self, frame: bytes) -> bool:
        sent = self._endpoint.send(self._connection, frame)
        self.gone = self.gone or sent is Sent.GONE
        return sent is Sent.TAKEN
