"""What is known of one exchange from what an observer hears."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from tidings_prometheus.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import ExchangeState, Hold

STATES: Final[Sequence[ExchangeState]] = (
    "starting", "working", "idle", "held", "waiting", "stopped", "mismatch", "failing",
    "standing by", "paused",
)  # fmt: skip
_FAILED: Final[Sequence[ExchangeState]] = ("waiting", "stopped", "mismatch", "failing")

_COMMIT_TO_ACCEPT = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
)  # fmt: skip
_SEND_TO_ACCEPT = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


class ExchangeMetrics:
    """Numbers of one exchange.

    **Threads.** The exchange's thread writes, any may read.
    """

    def __init__(self) -> None:
        self.runs = False
        """Whether a worker has begun with it, and has not ended: a service only counts."""
        self.published = 0
        self.failures: Counter[str] = Counter()
        self.quarantined = 0
        self.unroutable = 0
        self.commit_to_accept = Histogram(_COMMIT_TO_ACCEPT)
        self.send_to_accept = Histogram(_SEND_TO_ACCEPT)
        self.stage_seconds: Counter[str] = Counter()
        self.lease_held = False
        self.lease_epoch = 0
        self.lease_losses = 0
        self.in_flight = 0
        self.connected = False
        self._does: ExchangeState = "starting"
        self._hold: tuple[Hold, float] | None = None

    @property
    def state(self) -> ExchangeState:
        """One of :data:`STATES`."""
        does = self._does
        return "held" if self._hold is not None and does in ("working", "idle") else does

    def does(self, state: ExchangeState) -> None:
        """Note what the exchange does now."""
        self._does = state

    def goes_on(self) -> None:
        """Note that it works, unless it has failed: of the end of that a relay tells apart."""
        if self._does not in _FAILED:
            self._does = "working"

    def hold(self, hold: Hold | None) -> None:
        """Note what holds it, and since when, or that nothing does."""
        self._hold = None if hold is None else (hold, time.monotonic() - hold.seconds)

    def held(self) -> tuple[int, float] | None:
        """Return the missing id, and for how long its transaction has been open."""
        hold = self._hold
        return None if hold is None else (hold[0].missing_id, time.monotonic() - hold[1])

    def let_go(self) -> None:
        """Note the end of a run."""
        self.lease_held = self.connected = False
        self.in_flight = 0
