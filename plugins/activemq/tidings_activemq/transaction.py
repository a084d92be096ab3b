"""Events that the broker takes together, or not at all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from tidings.plugins import Accepted, Notification

_MESSAGE = 1024
"""Bytes that ActiveMQ counts for a message beside its content and headers."""


@dataclass(slots=True)
class Transaction:
    """One transaction, from its first event to the receipt of its COMMIT."""

    name: str
    frames: list[bytes] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    size: int = 0
    """What the broker counts for its events."""
    begun: float = 0.0
    newest: tuple[str, int, datetime] | None = None
    """Type, id and time of its last event."""
    token: Accepted | None = None
    """What the token says that it carries."""
    is_due: bool = False
    """Whether it is to be written though it is not full, as soon as its turn comes."""
    written: bool = False
    taken: str | None = None
    """The receipt that its last event asked for, until it comes."""
    receipt: str | None = None
    """The receipt that its COMMIT asked for; none while it waits for the token."""

    def add(self, encoded: bytes, notification: Notification) -> int:
        """Add an event; return the bytes that the broker counts for it."""
        if not self.ids:
            self.begun = time.monotonic()
        size = len(encoded) + _MESSAGE
        self.frames.append(encoded)
        self.ids.append(notification.event_id)
        self.newest = notification[1:]
        self.size += size
        return size
