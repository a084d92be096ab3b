"""Where domain events are kept, in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from tidings.event import NewEvent, StoredEvent


class Hold(NamedTuple):
    """What keeps the relay from going on: a missing id whose transaction may still commit."""

    missing_id: int
    """The lowest id that may still appear."""

    holder: str
    """Who may still commit it, as the database names it: ``"process 4711"``."""

    seconds: float
    """How long that transaction has been open."""


class EventStore(ABC):
    """Keeps domain events in the order in which they count.

    **Order.** ``event_id`` is unique and ascending. :meth:`all_stored_events_since` never gives an
    event while one with a lower id may still appear: a reader that goes on from the last id it
    was given misses none, whatever transactions commit in whatever order.

    **Transactions.** :meth:`append` takes part in the caller's transaction: what is rolled back
    was never stored. All other methods use connections of the store's own and leave no
    transaction open.

    **Threads.** ``append`` may be called from any thread, each with its own connection. One store
    object is read by one thread at a time; several store objects on one database don't disturb
    each other.

    **Errors.** :class:`~tidings.errors.StoreUnavailableError` where the database cannot be
    reached (the next call tries again), :class:`~tidings.errors.StoreNotReadyError` where the
    tables are missing.
    """

    @abstractmethod
    def append(self, connection: Any, *events: NewEvent) -> None:
        """Store ``events``, in their order, in the caller's transaction.

        ``connection`` is what the application's transaction runs on (for SQLAlchemy a ``Session``
        or a ``Connection``). All or none: raises :class:`~tidings.errors.InvalidEventError` before
        anything is written. Neither commits nor rolls back.
        """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Any]:
        """Begin a transaction of the store's own for :meth:`append`: commits, or rolls back."""

    @abstractmethod
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """Return up to ``limit`` events with an id greater than ``event_id``, ascending.

        Fewer than ``limit``, even none, when there are no more *or* when one with a lower id may
        still appear; :meth:`hold` says which. Costs one indexed range query when nothing is held.
        """

    @abstractmethod
    def stored_event(self, event_id: int) -> StoredEvent | None:
        """Return the event of that id, or ``None`` where there is none (any more)."""

    @abstractmethod
    def newest_event_id(self) -> int | None:
        """Return the greatest id stored and visible, or ``None`` in an empty store."""

    @abstractmethod
    def count_stored_events_since(self, event_id: int) -> int:
        """Return how many events have an id greater than ``event_id``. For reports: may be slow."""

    @abstractmethod
    def hold(self) -> Hold | None:
        """Return what holds this reader since its last read, or ``None``."""

    def wait(self, seconds: float) -> bool | None:  # noqa: ARG002 - for those who override
        """Wait up to ``seconds`` for an event that may be new since the last read.

        A hint only, so that an idle relay need not look all the time: ``True``, at once, where one
        may have been committed since the last read began; ``False`` when the time is up. ``None``,
        without waiting, where that cannot be known, now or ever: the relay then looks in turns.
        Called by the thread that reads. A connection that fails in it raises nothing.
        """
        return None

    @abstractmethod
    def create(self) -> None:
        """Create what the store needs, where it isn't there yet. Idempotent."""

    def ddl(self) -> str:
        """Return the statements that :meth:`create` runs, for those who run them themselves.

        Empty where there are none to show.
        """
        return ""

    @abstractmethod
    def check(self) -> None:
        """Raise an :class:`~tidings.errors.EventStoreError` where the store cannot keep its word.

        Tables missing or of another version, a standby, ids handed out in caches: everything that
        can be known without waiting.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back connections. Idempotent; the store may be used again."""
