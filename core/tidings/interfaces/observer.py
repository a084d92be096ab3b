"""Who wants to know what the relay does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings.interfaces.event_store import Hold


class Observer:
    """Is told what a relay does: for metrics and alarms. Override what you need.

    **Safety.** An observer that raises is logged, and never stops a delivery.

    **Threads.** Calls come from the relay's threads, one exchange's calls in order, several
    exchanges' at once. Return quickly: the exchange waits.
    """

    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        """Hear that ``count`` more events, up to ``last_event_id``, were accepted and tracked."""

    def held(self, exchange_name: str, hold: Hold) -> None:
        """Hear that a transaction which may still commit a lower id keeps the relay waiting."""

    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        """Hear that an event that can never be sent was put in quarantine, and passed."""

    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        """Hear that the exchange stopped with ``error``, tried again in ``retry_in`` seconds."""

    def recovered(self, exchange_name: str, seconds: float) -> None:
        """Hear that the exchange works again, ``seconds`` after it first failed."""

    def standing_by(self, exchange_name: str, owner: str) -> None:
        """Hear that another relay, ``owner``, works on the exchange, and this one waits."""
