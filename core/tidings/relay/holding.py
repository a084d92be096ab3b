"""Tells of transactions that keep an exchange waiting, if they do so for long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from tidings.interfaces import Hold
    from tidings.relay.observers import Observers

log = escaping_logger(__name__)

WORTH_TELLING = 1.0
"""Seconds. If several write at once, there are gaps of milliseconds all the time."""


class Holding:
    """Tells, once, of each hold that lasts, and of its end."""

    def __init__(self, exchange_name: str, observers: Observers) -> None:
        self._exchange_name = exchange_name
        self._observers = observers
        self._missing_id: int | None = None
        self._since = 0.0
        self._told = False

    def look(self, hold: Hold | None) -> None:
        """Note what holds the exchange just now."""
        if hold is None:
            self.over()
            return
        if hold.missing_id != self._missing_id:
            self.over()
            self._missing_id, self._since = hold.missing_id, time.monotonic()
            log.debug("%s: event %d is missing: %s", self._exchange_name, *hold[:2])
        if not self._told and time.monotonic() - self._since >= WORTH_TELLING:
            self._told = True
            log.info(
                "%s: waiting for event %d, which %s may still commit",
                self._exchange_name,
                hold.missing_id,
                hold.holder,
            )
            self._observers.held(self._exchange_name, hold)

    def over(self) -> None:
        """Note that nothing holds the exchange, or something else."""
        if self._told and self._missing_id is not None:
            seconds = time.monotonic() - self._since
            log.info(
                "%s: no longer waiting for event %d, after %.1f s",
                self._exchange_name,
                self._missing_id,
                seconds,
            )
            self._observers.no_longer_held(self._exchange_name, self._missing_id, seconds)
        self._missing_id, self._told = None, False
