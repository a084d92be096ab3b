"""All observers as one, each call guarded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tidings.interfaces import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import Hold

log = logging.getLogger(__name__)


class Observers(Observer):
    """Passes each call on to every observer; one that raises is logged and passed over."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        """Tell each."""
        self._tell("published", exchange_name, count, last_event_id)

    def held(self, exchange_name: str, hold: Hold) -> None:
        """Tell each."""
        self._tell("held", exchange_name, hold)

    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        """Tell each."""
        self._tell("quarantined", exchange_name, event_id, reason)

    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        """Tell each."""
        self._tell("failed", exchange_name, error, retry_in)

    def recovered(self, exchange_name: str, seconds: float) -> None:
        """Tell each."""
        self._tell("recovered", exchange_name, seconds)

    def standing_by(self, exchange_name: str, owner: str) -> None:
        """Tell each."""
        self._tell("standing_by", exchange_name, owner)

    def _tell(self, what: str, *arguments: Any) -> None:
        for observer in self._observers:
            try:
                getattr(observer, what)(*arguments)
            except Exception:
                log.exception("Observer %s failed in %s", type(observer).__qualname__, what)
