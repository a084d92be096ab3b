"""What was sent and is not confirmed yet, and how far the broker's word goes."""

from __future__ import annotations

from collections import deque


class Unconfirmed:
    """Keeps one channel's publisher confirms.

    Delivery tags count the messages of a channel from 1, in the order of :meth:`add`. Confirms
    may come in any order, singly or for all up to a tag. Nothing from the first refused message
    on is ever accepted.
    """

    def __init__(self) -> None:
        self._pending: deque[tuple[int, int, int]] = deque()
        self._first_tag = 1
        self._early: set[int] = set()
        self._refused_tag: int | None = None
        self.size = 0
        """Bytes of the messages that the broker owes us an answer for, headers and all."""
        self.accepted_id: int | None = None
        """The greatest id up to which everything was confirmed."""

    def __len__(self) -> int:
        """Return how many messages the broker owes us an answer for."""
        return len(self._pending)

    @property
    def accepted_count(self) -> int:
        """How many messages were accepted."""
        return self._first_tag - 1

    @property
    def last_tag(self) -> int:
        """The last message that was added, by its tag; 0 before the first."""
        return self._first_tag + len(self._pending) - 1

    @property
    def oldest_id(self) -> int | None:
        """The first event that is not confirmed, or ``None``."""
        return self._pending[0][0] if self._pending else None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more can be accepted: all was, or the refused message comes next."""
        return not self._pending or self._first_tag == self._refused_tag

    def add(self, event_id: int, body_size: int, size: int) -> None:
        """Note the next message of the channel, with its body's size and its own."""
        self._pending.append((event_id, body_size, size))
        self.size += size

    def accept(self, tag: int, *, multiple: bool) -> None:
        """Take the broker's confirm for ``tag``, or for all up to it."""
        if not multiple and tag != self._first_tag:
            self._early.add(tag)
            return
        while self._pending and self._first_tag <= tag:
            if not self._accept_first():
                return
        while self._first_tag in self._early:
            if not self._accept_first():
                return

    def refuse(self, tag: int, *, multiple: bool) -> int | None:
        """Take the broker's refusal of ``tag``, or of all up to it; return the first such id."""
        self._refuse(self._first_tag if multiple else tag)
        index = (self._refused_tag or tag) - self._first_tag
        return self._pending[index][0] if 0 <= index < len(self._pending) else None

    def give_back(self, event_id: int) -> None:
        """Take a message back that the broker returned: its confirm counts for nothing."""
        for index, (pending_id, _, _) in enumerate(self._pending):
            if pending_id == event_id:
                self._refuse(self._first_tag + index)
                return

    def id_of_size(self, body_size: int) -> int | None:
        """Return the first unconfirmed event whose body has so many bytes, or ``None``."""
        return next((event_id for event_id, size, _ in self._pending if size == body_size), None)

    def _accept_first(self) -> bool:
        if self._first_tag == self._refused_tag:
            return False
        self._early.discard(self._first_tag)
        self.accepted_id, _, size = self._pending.popleft()
        self.size -= size
        self._first_tag += 1
        return True

    def _refuse(self, tag: int) -> None:
        if self._refused_tag is None or tag < self._refused_tag:
            self._refused_tag = tag
