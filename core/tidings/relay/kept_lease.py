"""Renews a lease while its relay is busy, and knows when it is no longer ours."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from tidings.errors import LeaseLostError
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from types import TracebackType

    from tidings.interfaces import Lease, PublishedMessageTracker

log = escaping_logger(__name__)

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_LONGEST_JOIN = 5.0


def now() -> float:
    """Return seconds that never go back, and that go on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class KeptLease:
    """A lease that is renewed, at a third of its time, by a thread of its own while in use.

    ::

        asked = now()
        with KeptLease(tracker, tracker.acquire_lease(...), asked) as kept:
            kept.check()

    **Threads.** Every method may be called from any thread.
    """

    def __init__(self, tracker: PublishedMessageTracker, lease: Lease, asked: float) -> None:
        self.lease = lease
        self._tracker = tracker
        self._until = asked + lease.seconds
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._keep, name=f"tidings-lease-{lease.exchange_name}", daemon=True
        )

    def check(self) -> None:
        """Raise :class:`LeaseLostError` if it is not known to be ours any more.

        By this machine's own clock, counted from before the last renewal was asked for: a process
        that was paused notices here, before it sends another batch.
        """
        if self._lost or now() > self._until:
            raise LeaseLostError(self.lease.exchange_name)

    def renewed(self, asked: float) -> None:
        """Note that a renewal asked for at ``asked`` has succeeded."""
        # Renewals of two threads may end in another order than they began.
        self._until = max(self._until, asked + self.lease.seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(_LONGEST_JOIN)

    def _keep(self) -> None:
        while not self._lost and not self._over.wait(self.lease.seconds / 3):
            self._renew()

    def _renew(self) -> None:
        asked = now()
        try:
            self._tracker.renew_lease(self.lease)
            self.renewed(asked)
        except LeaseLostError:
            self._lost = True
        except Exception as error:  # noqa: BLE001 - tried again soon, whatever it is
            # The relay itself meets the same database, and tells of it.
            log.debug("Could not renew the lease of %s: %s", self.lease.exchange_name, error)
