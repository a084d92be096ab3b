"""How far a subscriber has read a stream."""

from __future__ import annotations

from collections import deque

STORE_EVERY = 100
"""Acknowledgements after which the position is stored, at the latest."""

STORE_EVERY_PASSED = 10_000
"""The same of messages that nobody asked for: passing them again costs little."""


class Progress:
    """Knows the place before the first message that was received and not acknowledged.

    Messages that were passed belong to the one received before them: its acknowledgement takes
    them along. Offsets have holes: the broker's own records stand between the messages.
    """

    def __init__(self) -> None:
        self.done: int | None = None
        """The offset up to which nothing is needed any more."""
        self._stored: int | None = None
        self._acknowledged_since = self._passed_since = 0
        self._outstanding: deque[int] = deque()
        self._acknowledged: set[int] = set()
        self._reaches: dict[int, int] = {}
        """For one outstanding: the last that was passed behind it."""

    def receive(self, offset: int) -> None:
        """Note that a message was given to the subscriber."""
        self._outstanding.append(offset)

    def pass_by(self, offset: int) -> None:
        """Note a message that the subscriber did not ask for."""
        self._passed_since += 1
        if self._outstanding:
            self._reaches[self._outstanding[-1]] = offset
        else:
            self.done = offset

    def acknowledge(self, offset: int) -> None:
        """Note that a message need not come again."""
        self._acknowledged.add(offset)
        while self._outstanding and self._outstanding[0] in self._acknowledged:
            first = self._outstanding.popleft()
            self._acknowledged.remove(first)
            self.done = self._reaches.pop(first, first)
            self._acknowledged_since += 1

    def to_store(self, *, now: bool) -> int | None:
        """Return the position if it is to be stored: it is news, and ``now``, or has waited long.

        It counts as stored then.
        """
        is_due = (
            now
            or self._acknowledged_since >= STORE_EVERY
            or self._passed_since >= STORE_EVERY_PASSED
        )
        if not is_due or self.done == self._stored:
            return None
        self._stored = self.done
        self._acknowledged_since = self._passed_since = 0
        return self.done
