"""Relays that run and carry nothing of an exchange: they stand by, or cannot work.

The state ``idle`` is another thing: such a relay carries the exchange, and finds nothing to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class IdleRelay(NamedTuple):
    """What a relay says of itself that stands by or cannot work; not one in the state ``idle``."""

    owner: str
    """Which relay, as in a lease."""
    since: datetime
    """Since when: UTC."""
    reason: str | None = None
    """Why it cannot work, as a sentence; ``None`` if it stands by for another one."""
    next_try: datetime | None = None
    """When it tries again: UTC."""
