"""What keeps domain events, in order."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces.capability import Capability


class Hold(NamedTuple):
    """What keeps the relay from going on: a missing id whose transaction may still commit."""

    missing_id: int
    """The lowest id that may still appear."""

    holder: str
    """Who may still commit it, as the database names it: ``"process 4711"``."""

    seconds: float
    """How long that transaction has been open."""


class Waited(enum.Enum):
    """How a wait for events ended."""

    MAY_BE_NEW = enum.auto()
    """An event may have been committed since the last read began."""

    TIME_IS_UP = enum.auto()
    """None was, as far as is known."""

    CANNOT_TELL = enum.auto()
    """That cannot be known just now; there was no waiting. The relay then polls."""


class EventStore(ABC):
    """Keeps domain events in the order in which they count.

    **Order.** ``event_id`` is unique and ascending. :meth:`all_stored_events_since` never gives an
    event while one with a lower id may still appear. A reader that goes on from the last id it was
    given misses none, whatever transactions commit in whatever order.

    **Transactions.** :meth:`append` takes part in the caller's transaction: what is rolled back
    was never stored. All other methods use connections of the store's own and leave no
    transaction open.

    **Threads.** ``append`` may be called from any thread, each with its own connection. One store
    object is read by one thread at a time; several store objects on one database don't disturb
    each other. Making one connects to nothing.

    **Errors.** :class:`~tidings.errors.StoreUnavailableError` if the database cannot be reached
    (the next call tries again). :class:`~tidings.errors.StoreNotReadyError` if the tables are
    missing.

    **Rows are input**: anybody may have written there what is no event. What cannot be read
    is an error of that one event alone.
    """

    capabilities: frozenset[Capability] = frozenset()
    """What this event store, with its settings, can do beyond what every event store can. Known
    before it connects, and never changes."""

    @abstractmethod
    def append(self, connection: Any, *events: NewEvent) -> None:
        """Store ``events``, in their order, in the caller's transaction.

        ``connection`` is what the application's transaction runs on (for SQLAlchemy a ``Session``
        or a ``Connection``). All or none: raises :class:`~tidings.errors.InvalidEventError` before
        anything is written. Neither commits nor rolls back.
        """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Any]:
        """Begin a transaction of the store's own for :meth:`append`: commits, or rolls back.

        What fails at the commit is raised, as by every other method.
        """

    @abstractmethod
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """Return up to ``limit`` events with an id greater than ``event_id``, ascending.

        Fewer than ``limit``, even none, if there are no more *or* if one with a lower id may still
        appear; :meth:`hold` says which. Fewer, but at least one, also if they would be large. What
        is given at once has at most 16 MiB of bodies and metadata, or is a single event. Costs one
        indexed range query if nothing is held and events are small.

        An event that cannot be read ends what is returned. If it is the very next one, raises
        :class:`~tidings.errors.UnreadableEventError`, which names it. A reader may go on from its
        id, and misses nothing else.
        """

    @abstractmethod
    def stored_event(self, event_id: int) -> StoredEvent | None:
        """Return the event of that id, or ``None`` if there is none (any more).

        Raises :class:`~tidings.errors.UnreadableEventError` if it is there and cannot be read.
        """

    @abstractmethod
    def newest_event_id(self) -> int | None:
        """Return the greatest id stored and visible, or ``None`` in an empty store."""

    def oldest_event_id(self) -> int | None:
        """Return the least id that is left, after what was deleted; ``None`` if none is."""
        first = self.all_stored_events_since(0, 1)
        return first[0].event_id if first else None

    @abstractmethod
    def count_stored_events_since(self, event_id: int) -> int:
        """Return how many events have an id greater than ``event_id``. For reports: may be slow."""

    def count_stored_events_between(self, after: int, up_to: int, most: int) -> int:
        """Return how many events have an id greater than ``after`` and not greater than ``up_to``.

        Counts no further than ``most``, and so is quick however many there are. A store that does
        not override it counts all of them.
        """
        if up_to <= after:
            return 0
        beyond = self.count_stored_events_since(up_to)
        return min(self.count_stored_events_since(after) - beyond, most)

    @abstractmethod
    def hold(self) -> Hold | None:
        """Return what holds this reader since its last read, or ``None``."""

    def wait(self, seconds: float) -> Waited:
        """Wait up to ``seconds`` for an event that may be new since the last read.

        A hint only, so that an idle relay need not look all the time. It returns
        ``Waited.MAY_BE_NEW`` at once if one may have been committed since the last read began. If
        nobody writes, it soon takes the time that it was given: a relay looks after each
        ``Waited.MAY_BE_NEW``, and would never rest. Called by the thread that reads. A connection
        that fails in it raises nothing. Belongs to ``Capability.WAKE_UP``.
        """
        raise NotImplementedError

    def prune(
        self,
        up_to: int,
        *,
        keep: int = 1,
        occurred_before: datetime | None = None,
        dry_run: bool = False,
    ) -> int:
        """Delete events whose id is not greater than ``up_to``; return how many.

        The newest ``keep`` of the store stay. At least the newest event always stays, so that a
        position can be told from one of another store. With a time, only those that occurred before
        it. ``dry_run`` only counts them. No writer waits for long, however many there are. Belongs
        to ``Capability.PRUNE``.
        """
        raise NotImplementedError

    def renumber(self) -> Sequence[int]:
        """Give events new ids that readers would pass; return the ids that they had.

        Such events were committed under ids that exchanges have passed: a sequence was set back. It
        is set right as well. The events go out in their order, behind all others. Belongs to
        ``Capability.RENUMBER``.
        """
        raise NotImplementedError

    def identity(self) -> str:
        """Return what tells this store from every other one: at most 100 ASCII characters.

        Made once, with the store, and kept in it; a copy or a backup has it, too. Brokers keep it
        with what they remember, so that they are not believed about another store. Empty if a
        store has none: then only its events tell.
        """
        return ""

    @abstractmethod
    def create(self) -> None:
        """Create what the store needs, if it isn't there yet. Idempotent."""

    def migrate(self, *, dry_run: bool = False) -> str:
        """Bring what an older version has made to what this one needs; return the statements.

        Idempotent, and safe when several do it at once. ``dry_run`` only tells which they would
        be. Empty if there is nothing to do. Raises
        :class:`~tidings.errors.StoreNotReadyError` if nothing was made yet. Belongs to
        ``Capability.SCHEMA``.
        """
        raise NotImplementedError

    def ddl(self) -> str:
        """Return the statements that :meth:`create` runs, for those who run them themselves.

        Belongs to ``Capability.SCHEMA``.
        """
        raise NotImplementedError

    @abstractmethod
    def check(self) -> None:
        """Raise an :class:`~tidings.errors.EventStoreError` if the store cannot keep its word.

        Tables missing or of another version, a standby, ids handed out in caches: everything that
        can be known without waiting.
        """

    def watch(self) -> None:  # noqa: B027 - not every store can change under its reader
        """Raise if what :meth:`check` found is no longer so, as far as is cheap to see.

        A database whose file was replaced, ids that begin again. Asked every second or two while
        there is nothing to read.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back connections. Idempotent; the store may be used again."""
