"""Renews leases while their relays are busy."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from tidings.errors import LeaseLostError, TidingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tidings.interfaces import Lease, PublishedMessageTracker

from contextlib import contextmanager

log = logging.getLogger(__name__)


class KeptLease:
    """A lease and how long it is still known to be ours. Thread-safe."""

    def __init__(self, lease: Lease, acquired: float) -> None:
        self.lease = lease
        self._until = acquired + lease.seconds
        self._lost = False

    def renewed(self, asked: float) -> None:
        """Note that a renewal asked for at ``asked`` (monotonic seconds) has succeeded."""
        self._until = asked + self.lease.seconds

    def lost(self) -> None:
        """Note that somebody else has it."""
        self._lost = True

    def check(self) -> None:
        """Raise :class:`LeaseLostError` where it is not known to be ours any more.

        By this machine's monotonic clock, counted from before the last renewal was asked for: a
        process that was paused notices here, before it sends anything more.
        """
        if self._lost or time.monotonic() > self._until:
            raise LeaseLostError(self.lease.exchange_name)


class LeaseKeeper:
    """One thread that renews every lease of this process, at a third of its time."""

    def __init__(self, tracker: PublishedMessageTracker) -> None:
        self._tracker = tracker
        self._kept: list[KeptLease] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def keep(self, lease: Lease, acquired: float) -> AbstractContextManager[KeptLease]:
        """Renew ``lease`` while the context lasts; ``acquired`` is when it was asked for."""
        return self._keeping(KeptLease(lease, acquired))

    @contextmanager
    def _keeping(self, kept: KeptLease) -> Iterator[KeptLease]:
        with self._changed:
            self._kept.append(kept)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="tidings-lease-keeper", daemon=True
                )
                self._thread.start()
        try:
            yield kept
        finally:
            with self._changed:
                self._kept.remove(kept)
                self._changed.notify_all()
                thread = self._thread if not self._kept else None
            if thread is not None:
                thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._kept:
                    pause = min(kept.lease.seconds for kept in self._kept) / 3
                    self._changed.wait_for(lambda: not self._kept, timeout=pause)
                if not self._kept:
                    self._thread = None
                    return
                now = list(self._kept)
            for kept in now:
                self._renew(kept)

    def _renew(self, kept: KeptLease) -> None:
        asked = time.monotonic()
        try:
            self._tracker.renew_lease(kept.lease)
            kept.renewed(asked)
        except LeaseLostError:
            kept.lost()
        except TidingsError as error:
            # The relay itself meets the same database, and tells of it.
            log.debug("Could not renew the lease of %s: %s", kept.lease.exchange_name, error)
