"""Positions and leases in a dictionary."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.interfaces import (
    Capability,
    IdleRelay,
    JournalEntry,
    Lease,
    Pause,
    Position,
    PublishedMessageTracker,
    QuarantinedEvent,
    Stop,
    TrackedExchange,
    fingerprint,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

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
    idle: dict[str, tuple[float, IdleRelay]] = field(default_factory=dict)
    pause: Pause | None = None

    def move(self, event: StoredEvent) -> None:
        self.position = self.position._replace(event_id=event.event_id)
        self.fingerprint = fingerprint(event)
        self.stop = None

    def is_leased(self, now: float) -> bool:
        return self.owner is not None and self.expires > now


class InMemoryTracker(PublishedMessageTracker):
    """Keeps positions and a quarantine in memory; its clock is the machine's monotonic one."""

    capabilities = frozenset(
        {Capability.QUARANTINE, Capability.NOTES, Capability.JOURNAL, Capability.PAUSE}
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, _Row] = {}
        self._journal: list[JournalEntry] = []
        self._entries = 0

    @override
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        with self._lock:
            row = self._rows.get(exchange_name)
            return row.position.event_id or None if row else None

    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        with self._lock:
            self._renew(exchange_name, lease).move(event)

    @override
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        with self._lock:
            row = self._rows.setdefault(exchange_name, _Row())
            now = time.monotonic()
            if row.is_leased(now) and row.owner not in (None, owner) and in_place_of != row.epoch:
                raise LeaseHeldError(exchange_name, str(row.owner), row.epoch, row.expires - now)
            before = None if row.owner == owner else row.owner
            row.owner = owner
            row.epoch += 1
            row.expires = now + seconds
            return Lease(
                exchange_name, owner, row.epoch, seconds, row.position, row.fingerprint, before
            )

    @override
    def renew_lease(self, lease: Lease) -> None:
        with self._lock:
            self._renew(lease.exchange_name, lease)

    @override
    def release_lease(self, lease: Lease) -> None:
        with self._lock:
            row = self._rows.get(lease.exchange_name)
            if row and row.epoch == lease.epoch:
                row.owner = None

    @override
    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        with self._lock:
            row = self._renew(lease.exchange_name, lease)
            since = row.stop.stopped_on if row.stop and row.stop.event_id == event_id else None
            row.stop = Stop(event_id, reason, since or datetime.now(UTC))

    @override
    def note_idle(self, exchange_name: str, relay: IdleRelay, seconds: float) -> None:
        with self._lock:
            row = self._rows.setdefault(exchange_name, _Row())
            row.idle[relay.owner] = (time.monotonic() + seconds, relay)

    @override
    def forget_idle(self, exchange_name: str, owner: str) -> None:
        with self._lock:
            self._rows.setdefault(exchange_name, _Row()).idle.pop(owner, None)

    @override
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        with self._lock:
            row = self._rows.setdefault(exchange_name, _Row())
            if generation not in (None, row.position.generation):
                return False
            row.position = Position(after_event_id, row.position.generation + 1)
            row.fingerprint = None
            row.stop = None
            row.owner = None
            row.epoch += 1
            row.quarantined = {n: e for n, e in row.quarantined.items() if n <= after_event_id}
            return True

    @override
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        with self._lock:
            now = time.monotonic()
            return [
                TrackedExchange(
                    name,
                    row.position,
                    row.owner if row.is_leased(now) else None,
                    row.stop,
                    row.fingerprint,
                    [relay for expires, relay in row.idle.values() if expires > now],
                    row.pause,
                )
                for name, row in sorted(self._rows.items())
            ]

    @override
    def quarantine(self, exchange_name: str, event: StoredEvent, reason: str, lease: Lease) -> None:
        event_id, type_name = event.event_id, event.type_name
        with self._lock:
            row = self._renew(exchange_name, lease)
            if row.position.event_id < event_id:
                row.move(event._replace(type_name=""))  # the type may be mended at this position
            row.quarantined[event_id] = QuarantinedEvent(
                exchange_name, event_id, type_name, reason, datetime.now(UTC)
            )

    @override
    def quarantined_events(
        self, exchange_name: str | None = None, *, retry_asked: bool = False
    ) -> Sequence[QuarantinedEvent]:
        with self._lock:
            return [
                event
                for name, row in sorted(self._rows.items())
                for _, event in sorted(row.quarantined.items())
                if exchange_name in (None, name) and event.retry_asked >= retry_asked
            ]

    @override
    def ask_to_retry(self, exchange_name: str, event_id: int | None = None) -> int:
        with self._lock:
            noted = self._rows.setdefault(exchange_name, _Row()).quarantined
            meant = [known for known in noted if event_id in (None, known)]
            noted |= {known: noted[known]._replace(retry_asked=True) for known in meant}
            return len(meant)

    @override
    def note_retry(self, event_id: int, reason: str | None, lease: Lease) -> None:
        with self._lock:
            noted = self._renew(lease.exchange_name, lease).quarantined
            event = noted.pop(event_id, None)
            if event is not None and reason is not None:
                noted[event_id] = event._replace(
                    reason=reason, quarantined_on=datetime.now(UTC), retry_asked=False
                )

    @override
    def drop_quarantined(self, exchange_name: str, event_id: int) -> bool:
        with self._lock:
            row = self._rows.get(exchange_name)
            return row is not None and row.quarantined.pop(event_id, None) is not None

    @override
    def write_journal(
        self, entries: Sequence[JournalEntry], *, most: int, longest: timedelta
    ) -> None:
        with self._lock:
            for entry in entries:
                self._entries += 1
                self._journal.append(entry._replace(entry_id=self._entries))
            now = datetime.now(UTC)
            kept = [entry for entry in self._journal if now - entry.noted_on <= longest]
            self._journal = kept[-most:]

    @override
    def journal(
        self,
        exchange_name: str | None = None,
        *,
        since: datetime | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> Sequence[JournalEntry]:
        with self._lock:
            found = [
                entry
                for entry in self._journal
                if exchange_name in (None, entry.exchange_name)
                and (since is None or entry.noted_on >= since)
                and entry.entry_id > after
            ]
            return found[-limit:]

    @override
    def pause(self, exchange_name: str, pause: Pause) -> bool:
        with self._lock:
            row = self._rows.setdefault(exchange_name, _Row())
            is_new = row.pause is None
            row.pause = row.pause or pause
            return is_new

    @override
    def resume(self, exchange_name: str) -> bool:
        with self._lock:
            row = self._rows.get(exchange_name)
            if row is None or row.pause is None:
                return False
            row.pause = None
            return True

    @override
    def paused_exchanges(self) -> Collection[str]:
        with self._lock:
            return [name for name, row in self._rows.items() if row.pause is not None]

    @override
    def paused(self, exchange_name: str) -> Pause | None:
        with self._lock:
            row = self._rows.get(exchange_name)
            return None if row is None else row.pause

    @override
    def create(self) -> None:
        """Nothing needs to be created."""

    @override
    def close(self) -> None:
        """Nothing is kept open; the positions stay."""

    def _renew(self, exchange_name: str, lease: Lease) -> _Row:
        row = self._rows.get(exchange_name)
        if row is None or row.epoch != lease.epoch or row.owner is None:
            raise LeaseLostError(exchange_name)
        row.expires = time.monotonic() + lease.seconds
        return row
