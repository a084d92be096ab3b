"""Looks for new events, on a connection of its own, while exchanges of a source are idle."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from tidings.interfaces import Capability, Waited
from tidings.relay.answer import ask
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import EventStore
    from tidings.relay.answer import Answer

log = escaping_logger(__name__)

POLL_AGAIN = 0.5
"""Seconds until it polls again after the store has failed; the exchanges have been told."""
POLL_ANYWAY = 1.0
"""Seconds after which it looks if nothing held the last look up, and the store tells of news."""
_LONGEST_JOIN = 3.0
_SLICE = 0.2
"""Seconds after which one that waits for the store sees that it is to end."""


class Waiters(Protocol):
    """Those who wait for new events. Its methods may be called from any thread."""

    def wanted(self, poller: Poller) -> tuple[int, int] | None:
        """Return, once anybody waits, what the one waits for who is the furthest behind.

        ``None`` for a poller that is to end.
        """

    def polled(self, since: int, answer: Answer, begun: float) -> None:
        """Give what was polled to those who wait for it; note if there was nothing."""

    def still_quiet(self) -> None:
        """Note that the store tells of nothing new since the last poll."""

    def failed(self) -> None:
        """Let all who wait ask for themselves: each meets the error, and tells of it."""


class Poller:
    """Looks for new events, by a thread and on a connection of its own, while anybody waits."""

    def __init__(
        self, waiters: Waiters, make_store: Callable[[], EventStore], poll_seconds: float
    ) -> None:
        self._waiters = waiters
        self._store = make_store()
        self._poll_seconds = poll_seconds
        self._must_look = True
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidings-reader", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let it end, as who waits says, too; a database that hangs is not waited for."""
        self._ending.set()
        self._thread.join(_LONGEST_JOIN)

    def _run(self) -> None:
        try:
            while (wanted := self._waiters.wanted(self)) is not None:
                self._poll(*wanted)
        finally:
            self._store.close()

    def _poll(self, since: int, limit: int) -> None:
        try:
            self._wait()
            begun = time.monotonic()
            answer = ask(self._store, since, limit)
            self._must_look = bool(answer.events) or answer.hold is not None
            self._waiters.polled(since, answer, begun)
        except Exception as error:  # noqa: BLE001 - the exchanges meet it, and tell of it
            log.debug("Could not poll for new events: %s", error)
            self._waiters.failed()
            self._ending.wait(POLL_AGAIN)

    def _wait(self) -> None:
        """Wait until it is time to look, or the store says that there may be something."""
        can_tell = Capability.WAKE_UP in self._store.capabilities
        # What no store tells of is the end of a hold.
        rarely = can_tell and not self._must_look
        until = time.monotonic() + max(self._poll_seconds, POLL_ANYWAY if rarely else 0.0)
        while not self._ending.is_set() and (left := until - time.monotonic()) > 0:
            came = self._store.wait(min(left, _SLICE)) if can_tell else Waited.CANNOT_TELL
            if came is Waited.CANNOT_TELL:
                self._ending.wait(min(left, self._poll_seconds))
            if came is not Waited.TIME_IS_UP:
                return
            self._waiters.still_quiet()
