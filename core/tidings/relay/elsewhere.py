"""Whether another relay does what this one could not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings.relay.route import Route

WORKS_AFTER = 10.0
"""Seconds for which another relay holds an exchange without events to send, to be believed."""


class Elsewhere:
    """Judges the relay that holds an exchange which this one failed to carry.

    That one took the exchange to try, and may take long to fail. It works if the position moves. If
    nothing waits to be sent, the position cannot: then it is believed after a while.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._epoch = 0
        self._leased_from = 0.0
        self._stood_at: int | None = None

    def failed_here(self) -> None:
        """Begin anew: what the other one did before is no proof any more."""
        self._stood_at = None

    def works(self, epoch: int) -> bool:
        """Return whether the holder of the lease of this ``epoch`` is seen to work."""
        now = time.monotonic()
        if epoch != self._epoch:
            self._epoch, self._leased_from = epoch, now
        try:
            position = self._position()
            if self._stood_at is None or position < self._stood_at:  # less after a replay
                self._stood_at = position
            if position > self._stood_at:
                return True
            return now - self._leased_from >= WORKS_AFTER and not self._waits(position)
        except Exception:  # noqa: BLE001 - what cannot be looked at, a plugin's too, proves nothing
            return False

    def _position(self) -> int:
        row = self._route.tracker.tracked_exchange(self._route.exchange_name)
        return 0 if row is None else row.position.event_id

    def _waits(self, position: int) -> bool:
        """Return whether there is an event to send, and not only a gap that is waited for."""
        store = self._route.event_store
        try:
            return bool(store.all_stored_events_since(position, 1))
        finally:
            store.close()
