"""Waiting for a condition, in tests and suites."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORTEST_LOOK = 0.002
_LONGEST_LOOK = 0.02


def eventually(
    condition: Callable[[], object], what: str = "what the test expects", seconds: float = 60.0
) -> None:
    """Return as soon as ``condition`` holds; ``TimeoutError`` names ``what`` after ``seconds``."""
    if not until(condition, seconds):
        raise TimeoutError(f"waited {seconds:g} seconds for {what}")


def until(condition: Callable[[], object], seconds: float) -> bool:
    """Return whether ``condition`` became true within ``seconds``."""
    deadline = time.monotonic() + seconds
    delay = _SHORTEST_LOOK
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(delay)  # the pace of looking; the condition decides
        delay = min(delay * 1.2, _LONGEST_LOOK)  # a server that starts is asked less often
    return True
