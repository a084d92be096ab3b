"""Which events an exchange has had."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tidings.event import StoredEvent


class Position(NamedTuple):
    """How far an exchange has got."""

    event_id: int = 0
    """The newest event that the broker has accepted; 0 before the first."""

    generation: int = 0
    """How often the exchange was replayed. What a broker remembers of an earlier generation
    says nothing about this one."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to move one exchange's position, until it expires or is taken."""

    exchange_name: str
    owner: str
    epoch: int
    """Grows with each holder; every move of the position compares it."""
    seconds: float
    """How long it runs from each renewal, by the tracker's clock."""
    position: Position
    """Where the exchange stood when the lease was taken."""
    fingerprint: str | None
    """:func:`fingerprint` of the event at that position, or ``None`` before the first."""


class Stop(NamedTuple):
    """Why an exchange stands still: an event that can never be sent as it is."""

    event_id: int | None
    """The event, or ``None`` where the broker did not say which."""
    reason: str
    """The error's sentence."""
    stopped_on: datetime
    """When it was last tried: UTC."""


@dataclass(frozen=True, slots=True)
class TrackedExchange:
    """One exchange as the tracker knows it."""

    exchange_name: str
    position: Position
    owner: str | None
    """Who relays it just now, or ``None``."""
    stop: Stop | None = None
    """Why it stands still, where an event stops it."""


def fingerprint(event: StoredEvent) -> str:
    """Return what tells this event from another one that was given the same id."""
    return f"{event.occurred_on:%Y%m%dT%H%M%S.%f} {event.type_name}"[:255]


class PublishedMessageTracker(ABC):
    """Keeps one position for each exchange name, and who may move it.

    **One relay at a time.** A position is moved only by the holder of the exchange's lease, by
    compare-and-set on the lease's epoch. A relay that was paused until its lease had gone to
    another moves nothing, and is told so by :class:`~tidings.errors.LeaseLostError`.

    **Durability.** When a method returns, its effect has been committed.

    **Time** is the tracker's own (the database's clock), never the caller's.

    **Threads.** Every method may be called from any thread.

    **Errors.** As for the event store.
    """

    @abstractmethod
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        """Return the id of the newest event the exchange has had, ``None`` before the first."""

    @abstractmethod
    def track_most_recent_published_message(
        self, exchange_name: str, notification: StoredEvent, lease: Lease
    ) -> None:
        """Move the exchange's position to ``notification`` and renew the lease, in one step.

        Raises :class:`~tidings.errors.LeaseLostError`, and moves nothing, where the lease is no
        longer the newest.
        """

    @abstractmethod
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        """Take the exchange's lease, and read its position, in one step.

        Raises :class:`~tidings.errors.LeaseHeldError` where another owner holds one that has not
        expired, unless ``in_place_of`` is the epoch of that very lease (its holder is known to be
        dead). Of any number of callers at once, one succeeds. An owner that holds it already gets
        a new one, with a greater epoch; the older one is lost.
        """

    @abstractmethod
    def renew_lease(self, lease: Lease) -> None:
        """Let the lease run for its full time again; ``LeaseLostError`` where it has gone."""

    @abstractmethod
    def release_lease(self, lease: Lease) -> None:
        """Give the lease back, so that a standby takes over at once.

        Idempotent; does nothing where another has it. The lease is lost to its holder, too.
        """

    def note_stop(  # noqa: B027 - not every tracker has a place for it
        self, event_id: int | None, reason: str, lease: Lease
    ) -> None:
        """Keep why the exchange stands still, until its position moves or it is replayed.

        For those who look from elsewhere, as ``tidings status`` does. Raises
        :class:`~tidings.errors.LeaseLostError`, with nothing changed, where the lease is no longer
        the newest. A tracker that does not override this keeps nothing.
        """

    @abstractmethod
    def replay(self, exchange_name: str, after_event_id: int) -> None:
        """Set the position so that the exchange gets every event after ``after_event_id`` again.

        Begins a new generation, and takes the lease from whoever holds it: a running relay stops,
        and starts again from there. No other exchange notices.
        """

    @abstractmethod
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        """Return every exchange that has a row, by name."""

    @abstractmethod
    def create(self) -> None:
        """Create what the tracker needs, where it isn't there yet. Idempotent."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections. Idempotent; the tracker may be used again."""
