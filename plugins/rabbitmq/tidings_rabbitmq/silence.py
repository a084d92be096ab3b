"""For how long a connection may be left alone."""

from __future__ import annotations

LONGEST = 2.0
"""Seconds: a queue that was deleted, or a broker that is gone, is to be noticed."""


def longest_silence(heartbeat: float) -> float:
    """Return for how many seconds a connection can do without a step.

    ``heartbeat`` is what was agreed on, in seconds; 0 is none. Each half of it one is due.
    """
    return min(LONGEST, heartbeat / 4) if heartbeat else LONGEST
