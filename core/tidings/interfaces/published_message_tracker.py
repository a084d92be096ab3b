"""Which events an exchange has had."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import LeaseLostError
from tidings.interfaces.journal import Journal
from tidings.interfaces.pause import Pauses
from tidings.interfaces.quarantine import Quarantine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tidings.event import StoredEvent
    from tidings.interfaces.capability import Capability
    from tidings.interfaces.idle_relay import IdleRelay
    from tidings.interfaces.lease import Lease, Position
    from tidings.interfaces.pause import Pause


class Stop(NamedTuple):
    """Why an exchange stands still: an event that can never be sent as it is."""

    event_id: int | None
    """The event, or ``None`` if the broker did not say which."""
    reason: str
    """The error's sentence."""
    stopped_on: datetime
    """Since when it does: UTC. It stays while the same event stops it, tried again or not."""


@dataclass(frozen=True, slots=True)
class TrackedExchange:
    """One exchange as the tracker knows it."""

    exchange_name: str
    position: Position
    owner: str | None
    """Who relays it just now: who holds a lease that has not expired. ``None`` if nobody does."""
    stop: Stop | None = None
    """Why it stands still, if an event stops it."""
    fingerprint: str | None = None
    """:func:`fingerprint` of the event at that position; ``None`` before the first, and if a replay
    set the position."""
    idle: Sequence[IdleRelay] = ()
    """Relays that run, and stand by or cannot work."""
    pause: Pause | None = None
    """Why no relay carries it, if somebody has paused it."""


def fingerprint(event: StoredEvent) -> str:
    """Return what tells this event from another one that was given the same id."""
    return fingerprint_of(event.type_name, event.occurred_on)


def fingerprint_of(type_name: str, occurred_on: datetime) -> str:
    """Return the fingerprint of an event of which this is known.

    Only of what never changes: a body may be mended, or made anonymous, and every message bears
    type and time. Two events of one type and one microsecond look alike. Whoever has to tell those
    of two event stores apart compares the stores' identities as well.

    At most 255 ASCII characters, none of them zero, so that every tracker can keep it. An event
    that was sent and cannot be tracked would be sent again and again.
    """
    shown = type_name.replace("\0", "\\x00").encode("ascii", "backslashreplace").decode()
    when = occurred_on.astimezone(UTC)
    # Whether %Y has zeros before a short year differs by system and by Python.
    return f"{when.year:04}{when:%m%dT%H%M%S.%f} {shown}"[:255]


class PublishedMessageTracker(Quarantine, Journal, Pauses, ABC):
    """Keeps one position for each exchange name, and who may move it.

    **One relay at a time.** A position is moved only by the holder of the exchange's lease, by
    compare-and-set on the lease's epoch. If a relay was frozen until another had taken its lease,
    it moves nothing, and is told so by :class:`~tidings.errors.LeaseLostError`.

    **Durability.** When a method returns, its effect has been committed.

    **Time** is the tracker's own (the database's clock), never the caller's.

    **Threads.** Every method may be called from any thread. Making one connects to nothing.

    **Errors.** As for the event store.
    """

    capabilities: frozenset[Capability] = frozenset()
    """What this tracker, with its settings, can do beyond what every tracker can. Known before it
    connects, and never changes."""

    @abstractmethod
    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        """Return the id of the newest event the exchange has had, ``None`` before the first."""

    @abstractmethod
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        """Move the exchange's position to ``event`` and renew the lease, in one step.

        Raises :class:`~tidings.errors.LeaseLostError`, and moves nothing, if the lease is no
        longer the newest.
        """

    @abstractmethod
    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        """Take the exchange's lease, and read its position, in one step.

        Raises :class:`~tidings.errors.LeaseHeldError` if another owner holds one that has not
        expired. ``in_place_of`` is the epoch of a lease whose holder is known to be dead. That very
        lease, and no later one, is taken all the same. Of any number of callers at once, one
        succeeds. An owner that holds it already gets a new one, with a greater epoch; the older one
        is lost.
        """

    @abstractmethod
    def renew_lease(self, lease: Lease) -> None:
        """Let the lease run for its full time again; ``LeaseLostError`` if it was lost."""

    def renew_leases(self, leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        """Let each of these leases run for its full time again; say of each whether it does.

        ``False`` means that it was lost. One that is missing from the answer could not be renewed
        just now, and is asked for again soon. What holds one up shall hold up no other. Raises if
        none could be renewed.

        A relay calls this for all its exchanges at once. As it is here, it calls
        :meth:`renew_lease` for each. A tracker that can do it in one step should.
        """
        answers: dict[Lease, bool] = {}
        failure: Exception | None = None
        for lease in leases:
            try:
                self.renew_lease(lease)
                answers[lease] = True
            except LeaseLostError:
                answers[lease] = False
            except Exception as error:  # noqa: BLE001 - raised, unless others could be renewed
                failure = error
        if failure is not None and not answers:
            raise failure
        return answers

    @abstractmethod
    def release_lease(self, lease: Lease) -> None:
        """Give the lease back, so that a standby takes over at once.

        Idempotent; does nothing if another has it. The lease is lost to its holder, too.
        """

    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        """Keep why the exchange stands still, until its position moves or it is replayed.

        For those who look from elsewhere, as ``tidings status`` does. Raises
        :class:`~tidings.errors.LeaseLostError`, with nothing changed, if the lease is no longer
        the newest. Belongs to ``Capability.NOTES``.
        """
        raise NotImplementedError

    def note_idle(self, exchange_name: str, relay: IdleRelay, seconds: float) -> None:
        """Keep for so many seconds that ``relay`` stands by, or why it cannot work.

        For those who look from elsewhere; needs no lease. Replaces what the same relay has said.
        Belongs to ``Capability.NOTES``.
        """
        raise NotImplementedError

    def forget_idle(self, exchange_name: str, owner: str) -> None:
        """Forget what that relay said: it works, or has ended. Idempotent.

        Belongs to ``Capability.NOTES``.
        """
        raise NotImplementedError

    @abstractmethod
    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        """Set the position so that the exchange gets every event after ``after_event_id`` again.

        Begins a new generation, and takes the lease from whoever holds it: a running relay stops,
        and starts again from there. What the exchange will get again leaves its quarantine, in the
        same step. No other exchange notices.

        The new generation is greater than the last, and no other replay ever began it. So a tracker
        that may be restored from a backup must not count on from there.

        ``generation`` is the exchange's as the caller has seen it; 0 if it has no row. If it has
        another one by now, another replay came first: returns ``False``, with nothing changed. Else
        ``True``.
        """

    @abstractmethod
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        """Return every exchange that has a row, by name."""

    def tracked_exchange(self, exchange_name: str) -> TrackedExchange | None:
        """Return what :meth:`tracked_exchanges` says of one exchange; ``None`` if it has no row.

        As it is here, it looks through all of them. A tracker that can look at one should. Each
        exchange of a relay asks when it begins to work, and each of a standby every second.
        """
        rows = self.tracked_exchanges()
        return next((row for row in rows if row.exchange_name == exchange_name), None)

    @abstractmethod
    def create(self) -> None:
        """Create what the tracker needs, if it isn't there yet. Idempotent."""

    def migrate(self, *, dry_run: bool = False) -> str:
        """Do for what the tracker keeps what :meth:`EventStore.migrate` does for events.

        Belongs to ``Capability.SCHEMA``.
        """
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Give back connections. Idempotent; the tracker may be used again."""
