"""What has come from the broker, and is not taken yet."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import NamedTuple

MOST_BYTES = 16 * 1024 * 1024
"""Bytes of bodies and headers that may wait to be taken, one piece from the socket aside.

ActiveMQ counts the messages that it sends ahead, and never their bytes.
"""


class Arrival(NamedTuple):
    """A frame from the broker, or word that there will be no more (``kind`` is ``"lost"``)."""

    kind: str
    headers: dict[str, str]
    body: bytes

    @property
    def size(self) -> int:
        """Bytes of body and headers, or what comes close to them."""
        return len(self.body) + sum(map(len, self.headers.values()))


class Arrivals:
    """A queue of arrivals that says when enough waits.

    **Threads.** One puts and asks for room, another takes.
    """

    def __init__(self) -> None:
        self._waiting: deque[Arrival] = deque()
        self._size = 0
        self._changed = threading.Condition()

    def put(self, arrival: Arrival) -> None:
        """Add one, in any case."""
        with self._changed:
            self._waiting.append(arrival)
            self._size += arrival.size
            self._changed.notify_all()

    def take(self, timeout: float) -> Arrival | None:
        """Return the oldest one; ``None`` if none comes within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._waiting:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            arrival = self._waiting.popleft()
            self._size -= arrival.size
            self._changed.notify_all()
            return arrival

    def has_room(self, timeout: float) -> bool:
        """Say whether more should be read, if need be after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._size < MOST_BYTES, timeout)

    def __bool__(self) -> bool:
        """Whether there is one to take."""
        return bool(self._waiting)
