"""How an exchange's thread is: what it is at, and when it last took a step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.blame import sentence_of
from tidings.interfaces import Observer, state_after
from tidings.relay.observers import Observers
from tidings.relay.owner import label

if TYPE_CHECKING:
    from tidings.interfaces import ExchangeState, Lease, Pause


@dataclass(frozen=True, slots=True)
class Vitals:
    """How an exchange's thread is, at one moment."""

    exchange_name: str

    state: ExchangeState
    """``working``: what is sent is accepted, or there is nothing to send. ``starting``: neither is
    known yet. ``waiting``: a replay set it beyond the newest event. ``paused``: by somebody, until
    that is ended. ``failing``, ``stopped``, ``mismatch``: it cannot work, and tries again.
    ``dead``: the thread ended by a fault of ours."""

    reason: str | None
    """Why it cannot work, is waiting or dead; for whom it stands by; who paused it."""

    was_tried: bool
    """Whether the exchange has worked, stood by or failed: the start is behind it."""

    silent_seconds: float
    """Since the thread took a step, a delay that it meant to make left out."""

    @property
    def is_ready(self) -> bool:
        """Whether nothing is to be mended: it works, waits as it should, or another relay works."""
        return self.state in ("working", "standing by", "waiting", "paused")

    def is_live(self, stuck_seconds: float) -> bool:
        """Whether the thread is neither dead nor silent for longer than that."""
        if self.state == "ended":
            return True
        return self.state != "dead" and self.silent_seconds <= stuck_seconds

    def why_not_live(self, stuck_seconds: float) -> str | None:
        """Return why it is dead or stuck; ``None`` if it is neither."""
        if self.is_live(stuck_seconds):
            return None
        if self.state == "dead":
            return self.reason
        return f"its thread has taken no step for {self.silent_seconds:.0f} s"


class Pulse(Observer):
    """Keeps what an exchange's thread says of itself.

    **Threads.** The exchange's thread tells; :meth:`vitals` may be called from any thread, and
    waits for nothing.
    """

    def __init__(self, exchange_name: str) -> None:
        self._exchange_name = exchange_name
        self._said: tuple[ExchangeState, str | None] = ("starting", None)
        self._was_tried = False
        self._silent_from = time.monotonic()

    def vitals(self) -> Vitals:
        """Return how the thread is now."""
        state, reason = self._said
        silent = max(time.monotonic() - self._silent_from, 0.0)
        return Vitals(self._exchange_name, state, reason, self._was_tried, silent)

    def beat(self, delay: float = 0.0) -> None:
        """Note a step; ``delay``: how long it may be until the next one, because it is meant to."""
        self._silent_from = time.monotonic() + delay

    def works(self) -> None:
        """Note that something was accepted, or that there is nothing to send."""
        self._says("working")

    def finished(self) -> None:
        """Note that the thread ends, as it should."""
        self._says("ended")

    def died(self, error: BaseException) -> None:
        """Note that the thread ends by a fault of ours."""
        self._says("dead", f"its thread ended with {type(error).__name__}: {error}")

    @override
    def lease_taken(self, exchange_name: str, lease: Lease) -> None:
        """Note that a standby begins to work: no longer, and not yet."""
        if self._said[0] in ("standing by", "paused"):
            self._says("starting")
        self.beat()

    @override
    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        """Note a step in the midst of a call that may last: a broker that is slow is not dead."""
        self.beat()

    @override
    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        """Note the failure, and the delay that follows."""
        self._says(state_after(error), sentence_of(error), retry_in)

    @override
    def standing_by(self, exchange_name: str, owner: str) -> None:
        """Note for whom."""
        self._says("standing by", f"relayed by {label(owner)}")

    @override
    def paused(self, exchange_name: str, pause: Pause) -> None:
        """Note by whom."""
        why = f": {pause.reason}" if pause.reason else ""
        self._says("paused", f"by {pause.paused_by}{why}")

    def _says(self, state: ExchangeState, reason: str | None = None, delay: float = 0.0) -> None:
        self._said = state, reason
        self._was_tried = self._was_tried or state != "starting"
        self.beat(delay)


class WithOwn(Observers):
    """The observers of a route, and the relay's own; to it there are no more of them than before.

    So what is only made to be told, as a batch's times, is not made for the relay's own.
    """

    def __init__(self, observers: Observers, *own: Observer) -> None:
        super().__init__([observers, *own])
        self._others = observers

    @override
    def __bool__(self) -> bool:
        """Return whether there is anybody but the relay itself."""
        return bool(self._others)
