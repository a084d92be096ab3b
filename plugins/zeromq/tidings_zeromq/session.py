"""One subscriber's stream, as the relay has it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tidings_zeromq.endpoint import Sent
from tidings_zeromq.wire import encode_beginning, encode_head

if TYPE_CHECKING:
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
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0

    @property
    def open(self) -> bool:
        """Whether the subscriber may have more in flight."""
        return (
            not self.gone
            and len(self._in_flight) < self._capacity
            and self._in_flight_bytes < self._capacity_bytes
        )

    def begin(self) -> None:
        """Tell the subscriber where its stream began; also shows whether it is still there."""
        self._send(encode_beginning(self.nonce, self._start_id))

    def push(self, event_id: int, event: bytes) -> bool:
        """Send the next event; false where the connection takes no more."""
        if not self._send(encode_head(self.nonce, self.sent_id) + event):
            return False
        self.sent_id = event_id
        self._in_flight.append((event_id, len(event)))
        self._in_flight_bytes += len(event)
        return True

    def received(self, event_id: int) -> None:
        """Hear that the subscriber took everything up to ``event_id``."""
        in_flight = self._in_flight
        while in_flight and in_flight[0][0] <= event_id:
            self._in_flight_bytes -= in_flight.popleft()[1]

    def _send(self, frame: bytes) -> bool:
        sent = self._endpoint.send(self._connection, frame)
        self.gone = self.gone or sent is Sent.GONE
        return sent is Sent.TAKEN
