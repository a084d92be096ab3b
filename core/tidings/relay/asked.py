"""What people ask of a relay while it works: to stand still, or to send something again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tidings.interfaces import Capability
from tidings.relay.retry import can_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tidings.interfaces import PublishedMessageTracker
    from tidings.relay.route import Route
    from tidings.relay.run import Run

LOOK_FOR_A_PAUSE = 1.0
LOOK_FOR_RETRIES = 2.0
"""Seconds between two looks of an exchange. An answer so old stands for all exchanges."""


class Requests:
    """What people ask of the exchanges that one tracker keeps: one look is for all of them.

    **Threads.** Every method may be called from any thread.
    """

    def __init__(self, tracker: PublishedMessageTracker) -> None:
        self._tracker = tracker
        self._lock = threading.Lock()
        self._found: dict[Callable[[], Collection[str]], tuple[float, Collection[str]]] = {}

    def is_paused(self, exchange_name: str) -> bool:
        """Return whether somebody has paused the exchange."""
        return exchange_name in self._look(self._paused, LOOK_FOR_A_PAUSE)

    def has_retries(self, exchange_name: str) -> bool:
        """Return whether somebody wants events of the exchange to be sent again."""
        return exchange_name in self._look(self._retried, LOOK_FOR_RETRIES)

    def _look(self, find: Callable[[], Collection[str]], lasts: float) -> Collection[str]:
        with self._lock:
            looked, found = self._found.pop(find, (-lasts, ()))
            if time.monotonic() - looked >= lasts:
                looked = time.monotonic()
                found = find()
            self._found[find] = looked, found
        return found

    def _paused(self) -> Collection[str]:
        return self._tracker.paused_exchanges()

    def _retried(self) -> Collection[str]:
        asked = self._tracker.quarantined_events(retry_asked=True)
        return {each.exchange_name for each in asked}


class Asked:
    """Looks now and then whether something is asked of one exchange."""

    def __init__(self, route: Route, requests: Requests) -> None:
        self._route = route
        self._requests = requests
        self._looked_for_a_pause = 0.0
        self._looked_for_retries = 0.0

    def to_pause(self, run: Run) -> bool:
        """Return whether somebody has paused the exchange."""
        if Capability.PAUSE not in self._route.tracker.capabilities:
            return False
        if time.monotonic() - self._looked_for_a_pause < LOOK_FOR_A_PAUSE:
            return False
        self._looked_for_a_pause = time.monotonic()
        with run.during_call():
            return self._requests.is_paused(self._route.exchange_name)

    def to_retry(self, run: Run) -> bool:
        """Return whether somebody wants events in quarantine to be sent again."""
        if not can_retry(self._route):
            return False
        if time.monotonic() - self._looked_for_retries < LOOK_FOR_RETRIES:
            return False
        self._looked_for_retries = time.monotonic()
        with run.during_call():
            return self._requests.has_retries(self._route.exchange_name)
