"""What one opening of an exchange leaves to the next."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

GROW = 600.0
"""Seconds after a stall, or after the last growth, before a larger transaction is tried again."""

LEAST = 16 * 1024
"""Bytes that every broker bears. Who stalls with so little in flight stalls for another reason: it
was frozen, perhaps, or we were."""


class Pace:
    """The bound of a transaction in bytes: shrinks when the broker stalls, grows while it doesn't.

    A broker counts the uncommitted messages of a transaction against its memory limits. At the
    limit it reads no more of the connection, and so never sees the COMMIT that would free them.
    How much it bears it doesn't say: less is tried after each stall. Kept over reopens.
    """

    def __init__(self, most: int) -> None:
        self.bytes = most
        self._most = most
        self._changed = 0.0

    def stalled(self, in_flight: int) -> bool:
        """Take note that the broker went no further while so many bytes were not committed.

        Return whether that may be why.
        """
        if in_flight <= LEAST:
            return False
        self.bytes = min(max(min(self.bytes, in_flight) // 4, LEAST), self._most)
        self._changed = time.monotonic()
        return True

    def accepted(self) -> None:
        """Take note that a transaction was accepted: after a while the next may be larger."""
        if self.bytes < self._most and time.monotonic() - self._changed > GROW:
            self.bytes = min(self.bytes * 2, self._most)
            self._changed = time.monotonic()


@dataclass(slots=True)
class Memory:
    """What one opening of an exchange leaves to the next."""

    pace: Pace
    one_by_one_until: int = 0
    """The last of the events among which one is too large for the broker. Those get a transaction
    each, so that it is certain which one it is."""
    writer: str | None = None
    """Who wrote the last token."""

    @classmethod
    def kept_in(cls, memory: dict[str, Any], batch_bytes: int) -> Self:
        """Return what the last opening left in ``memory``; at the first one, leave it there."""
        kept: Self = memory.setdefault("activemq", cls(Pace(batch_bytes)))
        return kept
