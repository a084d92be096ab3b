"""What keeps an exchange from going on, just now."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tidings.blame import sentence_of
from tidings.errors import (
    LeaseHeldError,
    LeaseLostError,
    NotYetStoredError,
    StoreUnavailableError,
    TidingsError,
)
from tidings.interfaces import Capability, IdleRelay, Pause
from tidings.relay.backoff import Backoff
from tidings.relay.elsewhere import Elsewhere
from tidings.relay.log_error import tell
from tidings.relay.owner import label
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from tidings.errors import ExchangePausedError
    from tidings.relay.owner import Owner
    from tidings.relay.route import Route

log = escaping_logger(__name__)

NOTE_AGAIN = 10.0
NOTED_FOR = 30.0
TRY_LASTS = 60.0
"""Seconds that a try may take, at most, before the relay is taken for gone."""


class Trouble:
    """Tells of each failure of one exchange once, to the log, and says when to try again.

    The observers hear of every failure, and of the end of them all. Beside the position it is noted
    why this relay does not work, for those who look from elsewhere, as ``tidings status`` does.
    """

    def __init__(self, route: Route, owner: Owner) -> None:
        self._exchange_name = route.exchange_name
        self._observers = route.observers
        self._tracker = route.tracker
        self._keeps_notes = Capability.NOTES in route.tracker.capabilities
        self._owner = owner
        self._backoff = Backoff()
        self._since: float | None = None
        self._idle_since: datetime | None = None
        self._note_again = 0.0
        self._noted: IdleRelay | None = None
        self._elsewhere = Elsewhere(route)
        self._others_failed = False
        self._stands_by_for: str | None = None
        self._is_paused = False
        self._told: set[str] = set()

    def failed(self, error: Exception) -> float:
        """Tell of ``error`` if it is news; return the seconds until the next try."""
        self._resumed()
        if self._since is None:
            self._since = time.monotonic()
            self._idle_since = self._noted = None
        self._stands_by_for = None
        self._elsewhere.failed_here()
        retry_in = self._backoff.next(transient=isinstance(error, TidingsError) and error.transient)
        sentence = sentence_of(error)
        if self._is_news(sentence):
            tell(
                log,
                f"{self._exchange_name}:",
                error,
                "Trying again until it works.",
                level=self._level(error),
            )
        self._observers.failed(self._exchange_name, error, retry_in)
        if not isinstance(error, StoreUnavailableError):  # it would take its time to fail, too
            self._note(sentence, retry_in)
        return retry_in

    def standing_by(self, error: LeaseHeldError) -> None:
        """Tell that another relay works on the exchange.

        If this one cannot, the other one hardly can: it takes the exchange to try. So this one
        goes on saying why it cannot, until the other one is seen to work.
        """
        self._resumed()
        if self._since is not None and not self._elsewhere.works(error.epoch):
            self._note_still()
            return
        if self._is_news(f"standing by for {error.owner}"):
            log.info(
                "%s: standing by; it is relayed by %s", self._exchange_name, label(error.owner)
            )
        if self._stands_by_for != error.owner:
            self._stands_by_for = error.owner
            self._observers.standing_by(self._exchange_name, error.owner)
        if self._since is not None:
            self._since = self._idle_since = None  # whatever failed here, another one works
        if self._idle_since is None or time.monotonic() >= self._note_again:
            self._note(None, None)

    def taken(self) -> None:
        """Note that this relay carries the exchange now; whether it works, :meth:`over` says."""
        self._resumed()
        self._others_failed = True

    def paused(self, error: ExchangePausedError) -> None:
        """Tell that somebody has paused the exchange, and note that this relay would go on."""
        if not self._is_paused:
            self._is_paused = True
            self._since = self._idle_since = self._stands_by_for = None
            self._told.clear()
            log.info("%s: paused. %s", self._exchange_name, error)
            pause = Pause(error.paused_by, error.reason, error.paused_on)
            self._observers.paused(self._exchange_name, pause)
        if self._idle_since is None or time.monotonic() >= self._note_again:
            self._note(None, None)

    def over(self) -> None:
        """Note that the exchange works: something was accepted, or there is nothing to send."""
        if self._since is not None:
            seconds = time.monotonic() - self._since
            log.info("%s: works again after %.1f s", self._exchange_name, seconds)
            self._observers.recovered(self._exchange_name, seconds)
        self._since = self._stands_by_for = None
        self.forget()
        self._forget_failures_of_others()
        self._told.clear()
        self._backoff.reset()

    def forget(self) -> None:
        """Remove what was noted beside the position."""
        if self._idle_since is None:
            return
        self._idle_since = None
        if not self._keeps_notes:
            return
        try:
            self._tracker.forget_idle(self._exchange_name, str(self._owner))
        except Exception as error:  # noqa: BLE001 - a tracker's fault must not end the exchange
            self._not_noted(error)

    def _resumed(self) -> None:
        if self._is_paused:
            self._is_paused = False
            log.info("%s: no longer paused", self._exchange_name)
            self._observers.resumed(self._exchange_name)

    def _forget_failures_of_others(self) -> None:
        """Remove why others could not work, once after each take-over: it holds no longer."""
        if not (self._others_failed and self._keeps_notes):
            return
        self._others_failed = False
        try:
            row = self._tracker.tracked_exchange(self._exchange_name)
            for relay in row.idle if row is not None else ():
                if relay.reason is not None:
                    self._tracker.forget_idle(self._exchange_name, relay.owner)
        except Exception as error:  # noqa: BLE001 - as above
            self._not_noted(error)

    def _note(self, reason: str | None, retry_in: float | None) -> None:
        now = datetime.now(UTC)
        self._idle_since = self._idle_since or now
        self._note_again = time.monotonic() + NOTE_AGAIN
        next_try = None if retry_in is None else now + timedelta(seconds=retry_in)
        self._noted = IdleRelay(str(self._owner), self._idle_since, reason, next_try)
        self._put(self._noted, NOTED_FOR if retry_in is None else retry_in + TRY_LASTS)

    def _note_still(self) -> None:
        """Keep what was noted last, if nothing has changed."""
        if self._noted is not None and time.monotonic() >= self._note_again:
            self._note_again = time.monotonic() + NOTE_AGAIN
            self._put(self._noted, NOTED_FOR)

    def _put(self, noted: IdleRelay, seconds: float) -> None:
        if not self._keeps_notes:
            return
        try:
            self._tracker.note_idle(self._exchange_name, noted, seconds)
        except Exception as error:  # noqa: BLE001 - as above
            self._not_noted(error)

    def _not_noted(self, error: Exception) -> None:
        if isinstance(error, TidingsError) and error.transient:
            return
        sentence = sentence_of(error)
        if self._is_news(f"not noted: {sentence}"):
            log.warning("%s: `tidings status` does not see this: %s", self._exchange_name, sentence)

    def _level(self, error: Exception) -> int:
        if isinstance(error, NotYetStoredError):
            return logging.INFO if len(self._told) == 1 else logging.WARNING
        return logging.WARNING if isinstance(error, LeaseLostError) else logging.ERROR

    def _is_news(self, sentence: str) -> bool:
        if sentence in self._told:
            return False
        self._told.add(sentence)
        return True
