"""What is wrong with an exchange just now."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError, LeaseLostError, TidingsError
from tidings.relay.retry import Backoff

if TYPE_CHECKING:
    from tidings.relay.observers import Observers

log = logging.getLogger(__name__)


class Trouble:
    """Tells of each failure of one exchange once, to the log, and says when to try again.

    The observers hear of every failure, and of the end of them all.
    """

    def __init__(self, exchange_name: str, observers: Observers) -> None:
        self._exchange_name = exchange_name
        self._observers = observers
        self._backoff = Backoff()
        self._since: float | None = None
        self._told: set[str] = set()

    def failed(self, error: Exception) -> float:
        """Tell of ``error`` where it is news; return the seconds until the next try."""
        if self._since is None:
            self._since = time.monotonic()
        ours = isinstance(error, TidingsError)
        retry_in = self._backoff.next(passes=isinstance(error, TidingsError) and error.passes)
        sentence = str(error) if ours else f"{type(error).__name__}: {error}"
        if self._is_news(sentence):
            log.log(
                # A replay takes the lease on purpose.
                logging.WARNING if isinstance(error, LeaseLostError) else logging.ERROR,
                "%s: %s Trying again until it works.",
                self._exchange_name,
                sentence,
                exc_info=None if ours else error,
            )
        self._observers.failed(self._exchange_name, error, retry_in)
        return retry_in

    def standing_by(self, error: LeaseHeldError) -> None:
        """Tell that another relay works on the exchange."""
        if self._is_news(f"standing by for {error.owner}"):
            log.info("%s: standing by; it is relayed by %s", self._exchange_name, error.owner)
            self._observers.standing_by(self._exchange_name, error.owner)

    def over(self) -> None:
        """Note that the exchange works: something was accepted, or there is nothing to send."""
        if self._since is not None:
            seconds = time.monotonic() - self._since
            log.info("%s: works again after %.1f s", self._exchange_name, seconds)
            self._observers.recovered(self._exchange_name, seconds)
        self._since = None
        self._told.clear()
        self._backoff.reset()

    def _is_news(self, sentence: str) -> bool:
        if sentence in self._told:
            return False
        self._told.add(sentence)
        return True
