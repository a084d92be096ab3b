"""Messages that reached no queue, if that is no error."""

from __future__ import annotations

import time

from tidings.plugins import escaping_logger

log = escaping_logger("tidings.rabbitmq")

TELL_SECONDS = 10.0


class Unroutable:
    """Counts them for one open exchange, and logs how many there are, every ten seconds at most."""

    def __init__(self, exchange_name: str) -> None:
        self.count = 0
        self._exchange_name = exchange_name
        self._told = 0
        self._told_at = float("-inf")

    def note(self, event_id: int) -> None:
        """Count one."""
        self.count += 1
        if time.monotonic() >= self._told_at + TELL_SECONDS:
            self.tell(f", the last is event {event_id}")

    def tell(self, which: str = "") -> None:
        """Log how many there are by now, if it was not said yet."""
        if self.count > self._told:
            self._told, self._told_at = self.count, time.monotonic()
            log.warning(
                "%s: %d event(s) reached no queue%s (unroutable = 'ignore')",
                self._exchange_name,
                self.count,
                which,
            )
