"""An event store and a tracker behind a line that can be cut, each with one fault there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tidings.builtin.memory import InMemoryEventStore, InMemoryTracker
from tidings.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.builtin.memory.event_store import InMemoryTransaction
    from tidings.event import NewEvent
    from tidings.interfaces import Hold

SECRET = "hunter2"
OWN = ("append", "transaction", "hold", "close", "wait")
"""Methods that do not go through the line by themselves."""


class Line:
    """The way to a database in memory."""

    address = ("far away", 0)
    connections = opened = 0

    def __init__(self) -> None:
        self.is_cut = False

    def freeze(self) -> None:
        self.is_cut = True

    def thaw(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        """Nothing is open between two calls."""

    def refuse(self) -> None:
        self.is_cut = True

    def admit(self) -> None:
        self.is_cut = False


class Far:
    """Does what ``near`` does, unless the line is cut; each fault does one thing otherwise.

    ``silent`` are methods that say nothing then, ``foreign`` those that raise the driver's error.
    """

    silent: ClassVar[frozenset[str]] = frozenset()
    foreign: ClassVar[frozenset[str]] = frozenset()
    sentence: ClassVar[str] = "The database is away."

    def __init__(self, near: Any, line: Line) -> None:
        self._near = near
        self._line = line

    @override
    def __getattribute__(self, name: str) -> Any:
        own = super().__getattribute__
        if name.startswith("_") or name in OWN:
            return own(name)
        found = getattr(own("_near"), name, None)
        return own("_through")(name, found) if callable(found) else own(name)

    def _through(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def through(*arguments: Any, **options: Any) -> Any:
            if not self._line.is_cut:
                return call(*arguments, **options)
            if name in self.silent:
                return None
            if name in self.foreign:
                raise ConnectionResetError("reset by peer")
            raise StoreUnavailableError(self.sentence)

        return through


class FarStore(Far, InMemoryEventStore):
    @override
    def hold(self) -> Hold | None:
        return self._near.hold()  # type: ignore[no-any-return]

    @override
    def append(self, connection: Any, *events: NewEvent) -> None:
        self._near.append(connection, *events)

    @contextmanager
    @override
    def transaction(self) -> Iterator[InMemoryTransaction]:
        with self._near.transaction() as transaction:
            yield transaction
            if self._line.is_cut:
                self._fail_to_commit(transaction)

    def _fail_to_commit(self, _transaction: InMemoryTransaction) -> None:
        raise StoreUnavailableError(self.sentence)


class FarTracker(Far, InMemoryTracker):
    pass


class ConnectsAsItIsMade(FarStore):
    def __init__(self, near: InMemoryEventStore, line: Line) -> None:
        super().__init__(near, line)
        line.opened += 1


class AnswersOldCounts(FarStore):
    silent = frozenset({"count_stored_events_since"})


class SaysThatItIsCreated(FarStore):
    silent = frozenset({"create"})


class ChecksNothing(FarStore):
    silent = frozenset({"check"})


class PrunesIntoTheVoid(FarStore):
    silent = frozenset({"prune"})


class RaisesTheDriversError(FarStore):
    foreign = frozenset({"stored_event"})


class SaysItsSecret(FarStore):
    sentence = f"The database at me:{SECRET}@host is away."


class SwallowsTheCommitsError(FarStore):
    @override
    def _fail_to_commit(self, transaction: InMemoryTransaction) -> None:
        transaction.events.clear()


class RaisesTheDriversErrorAtTheCommit(FarStore):
    @override
    def _fail_to_commit(self, _transaction: InMemoryTransaction) -> None:
        raise ConnectionResetError("reset by peer")


class TrackerThatConnectsAsItIsMade(FarTracker):
    def __init__(self, near: InMemoryTracker, line: Line) -> None:
        super().__init__(near, line)
        line.opened += 1


class TracksIntoTheVoid(FarTracker):
    silent = frozenset({"track_most_recent_published_message"})


class ReleasesIntoTheVoid(FarTracker):
    silent = frozenset({"release_lease"})


class ReplaysIntoTheVoid(FarTracker):
    silent = frozenset({"replay"})


class NotesIntoTheVoid(FarTracker):
    silent = frozenset({"note_idle"})


class RaisesTheDriversErrorOfALease(FarTracker):
    foreign = frozenset({"renew_lease"})


class RenewsIntoTheVoid(FarTracker):
    silent = frozenset({"renew_leases"})


class ListsNothing(FarTracker):
    silent = frozenset({"quarantined_events"})
