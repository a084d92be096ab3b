"""Positions and leases in a dictionary."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.interfaces import (
    Lease,
    Position,
    PublishedMessageTracker,
    TrackedExchange,
    fingerprint,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent


@dataclass(slots=True)
class _Row:
    position: Position = field(default_factory=Position)
    fingerprint: str | None = None
    owner: str | None = None
    epoch: int = 0
    expires: float = 0.0

    def held(self, now: float) -> bool:
        return self.owner is not None and self.expires > now


class InMemoryPublishedMessageTracker(PublishedMessageTracker):
    """Keeps positions in memory; its clock is the machine's monotonic one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, _Row] = {}

    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        """Return the exchange's position, ``None`` before the first event."""
        with self._lock:
            row = self._rows.get(exchange_name)
            return row.position.event_id or None if row else None

    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        """Move the position and renew the lease."""
        with self._lock:
            row = self._renew(exchange_name, lease)
            row.position = row.position._replace(event_id=notification.event_id)
            row.fingerprint = fingerprint(notification)

    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        """Take the lease; the next epoch begins."""
        with self._lock:
            row = self._rows.setdefault(exchange_name, _Row())
            now = time.monotonic()
            if row.held(now) and row.owner not in (None, owner) and in_place_of != row.epoch:
                raise LeaseHeldError(exchange_name, str(row.owner), row.epoch, row.expires - now)
            row.owner = owner
            row.epoch += 1
            row.expires = now + seconds
            return Lease(exchange_name, owner, row.epoch, seconds, row.position, row.fingerprint)

    def renew_lease(self, lease: Lease) -> None:
        """Let the lease run for its full time again."""
        with self._lock:
            self._renew(lease.exchange_name, lease)

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back, where it is still ours."""
        with self._lock:
            row = self._rows.get(lease.exchange_name)
            if row and row.epoch == lease.epoch:
                row.owner = None

    def replay(self, exchange_name: str, after_event_id: int) -> None:
        """Set the position back, in a new generation and a new epoch that nobody holds."""
        with self._lock:
            row = self._rows.setdefault(exchange_name, _Row())
            row.position = Position(after_event_id, row.position.generation + 1)
            row.fingerprint = None
            row.owner = None
            row.epoch += 1

    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        """Return every exchange, by name."""
        with self._lock:
            now = time.monotonic()
            return [
                TrackedExchange(name, row.position, row.owner if row.held(now) else None)
                for name, row in sorted(self._rows.items())
            ]

    def create(self) -> None:
        """Nothing needs to be created."""

    def close(self) -> None:
        """Nothing is held open; the positions stay."""

    def _renew(self, exchange_name: str, lease: Lease) -> _Row:
        row = self._rows.get(exchange_name)
        if row is None or row.epoch != lease.epoch or row.owner is None:
            raise LeaseLostError(exchange_name)
        row.expires = time.monotonic() + lease.seconds
        return row
