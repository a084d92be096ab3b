"""Relays that run, and do not carry an exchange just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class IdleRelay(NamedTuple):
    """What a relay says of itself that stands by, or that cannot work."""

    owner: str
    """Which relay, as in a lease."""
    since: datetime
    """Since when: UTC."""
    reason: str | None = None
    """Why it cannot work, as a sentence; ``None`` if it stands by for another one."""
    next_try: datetime | None = None
    """When it tries again: UTC."""
