"""Positions and leases in a dictionary."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.interfaces import (
    Lease,
    Position,
    PublishedMessageTracker,
    Quarantine,
    QuarantinedEvent,
    Stop,
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
    stop: Stop | None = None
    quarantined: dict[int, QuarantinedEvent] = field(default_factory=dict)

    def move(self, event: StoredEvent) -> None:
        self.position = self.position._replace(event_id=event.event_id)
        self.fingerprint = fingerprint(event)
        self.stop = None

    def held(self, now: float) -> bool:
        return self.owner is not None and self.expires > now


class InMemoryPublishedMessageTracker(PublishedMessageTracker, Quarantine):
    """Keeps positions and a quarantine in memory; its clock is the machine's monotonic one."""

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
            self._renew(exchange_name, lease).move(notification)

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

    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        """Keep why the exchange stands still."""
        with self._lock:
            row = self._renew(lease.exchange_name, lease)
            row.stop = Stop(event_id, reason, datetime.now(UTC))

    def replay(self, exchange_name: str, after_event_id: int) -> None:
        """Set the position back, in a new generation and a new epoch that nobody holds."""
        with self._lock:
            row = self._rows.setdefault(exchange_name, _Row())
            row.position = Position(after_event_id, row.position.generation + 1)
            row.fingerprint = None
            row.stop = None
            row.owner = None
            row.epoch += 1

    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        """Return every exchange, by name."""
        with self._lock:
            now = time.monotonic()
            return [
                TrackedExchange(name, row.position, row.owner if row.held(now) else None, row.stop)
                for name, row in sorted(self._rows.items())
            ]

    def quarantine(
        self, exchange_name: str, notification: StoredEvent, reason: str, lease: Lease
    ) -> None:
        """Note the event and move the exchange's position to it."""
        event_id, type_name = notification.event_id, notification.type_name
        with self._lock:
            row = self._renew(exchange_name, lease)
            if row.position.event_id < event_id:
                row.move(notification)
            row.quarantined[event_id] = QuarantinedEvent(
                exchange_name, event_id, type_name, reason, datetime.now(UTC)
            )

    def quarantined_events(
        self, exchange_name: str | None = None, *, retry_asked: bool = False
    ) -> Sequence[QuarantinedEvent]:
        """Return those of one exchange, or of all, by exchange and id."""
        with self._lock:
            return [
                event
                for name, row in sorted(self._rows.items())
                for _, event in sorted(row.quarantined.items())
                if exchange_name in (None, name) and event.retry_asked >= retry_asked
            ]

    def ask_to_retry(self, exchange_name: str, event_id: int | None = None) -> int:
        """Ask for one event, or all, to be sent again."""
        with self._lock:
            noted = self._rows.setdefault(exchange_name, _Row()).quarantined
            meant = [known for known in noted if event_id in (None, known)]
            noted |= {known: noted[known]._replace(retry_asked=True) for known in meant}
            return len(meant)

    def settle_retry(self, event_id: int, reason: str | None, lease: Lease) -> None:
        """Note how sending an event again ended."""
        with self._lock:
            noted = self._renew(lease.exchange_name, lease).quarantined
            event = noted.pop(event_id, None)
            if event is not None and reason is not None:
                noted[event_id] = event._replace(
                    reason=reason, quarantined_on=datetime.now(UTC), retry_asked=False
                )

    def drop_quarantined(self, exchange_name: str, event_id: int) -> bool:
        """Forget that event; return whether it was there."""
        with self._lock:
            row = self._rows.get(exchange_name)
            return row is not None and row.quarantined.pop(event_id, None) is not None

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
