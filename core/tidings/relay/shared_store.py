"""An event store that one reader reads for several exchanges, as one exchange uses it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from tidings.interfaces import Capability, EventStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import Hold, Waited
    from tidings.relay.shared_reader import SharedReader

Result = TypeVar("Result")


class SharedStore(EventStore):
    """A :class:`~tidings.relay.shared_reader.SharedReader` 's store as one exchange uses it.

    It counts as in use from its first call to its close.

    It keeps every promise of the store that is read, and can always wait for new events. An event
    may be given as it was a second ago, but never as it was before the exchange's run began.
    """

    def __init__(self, reader: SharedReader) -> None:
        self.capabilities = reader.store.capabilities | {Capability.WAKE_UP}
        self._reader = reader
        self._since = 0
        self._limit = 1
        self._hold: Hold | None = None
        self._begun = 0.0
        """When the run began: nothing is given that was read before."""
        self._given = 0.0
        """When the last events were given."""

    @override
    def append(self, connection: Any, *events: NewEvent) -> None:
        self._reader.store.append(connection, *events)

    @override
    def transaction(self) -> AbstractContextManager[Any]:
        return self._reader.store.transaction()

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        self._reader.enter(self)
        answer = self._reader.read(event_id, limit, self._begun)
        if answer.events:
            self._given = time.monotonic()
        self._since = answer.events[-1].event_id if answer.events else event_id
        self._limit, self._hold = limit, answer.hold
        return answer.events

    @override
    def stored_event(self, event_id: int) -> StoredEvent | None:
        return self._in_turn(lambda store: store.stored_event(event_id))

    def look_at(self, event_id: int) -> StoredEvent | None:
        """Return the event of that id, as it was at some time since events were last given.

        And a second ago at most. What was given since then came from the store that it is in.
        """
        self._reader.enter(self)
        return self._reader.look_at(event_id, max(self._given, self._begun))

    @override
    def newest_event_id(self) -> int | None:
        return self._shared("newest", lambda store: store.newest_event_id())

    @override
    def oldest_event_id(self) -> int | None:
        return self._shared("oldest", lambda store: store.oldest_event_id())

    @override
    def count_stored_events_since(self, event_id: int) -> int:
        return self._in_turn(lambda store: store.count_stored_events_since(event_id))

    @override
    def hold(self) -> Hold | None:
        """Return what held this exchange's last read, as it was then."""
        return self._hold

    @override
    def wait(self, seconds: float) -> Waited:
        self._reader.enter(self)
        return self._reader.wait(self, self._since, self._limit, seconds)

    def interrupt(self) -> None:
        """End the wait for events, and let none begin until the view is closed."""
        self._reader.interrupt(self)

    @override
    def prune(
        self,
        up_to: int,
        *,
        keep: int = 1,
        occurred_before: datetime | None = None,
        dry_run: bool = False,
    ) -> int:
        return self._in_turn(
            lambda store: store.prune(
                up_to, keep=keep, occurred_before=occurred_before, dry_run=dry_run
            )
        )

    @override
    def renumber(self) -> Sequence[int]:
        return self._in_turn(lambda store: store.renumber())

    @override
    def identity(self) -> str:
        return self._shared("identity", lambda store: store.identity())

    @override
    def create(self) -> None:
        self._in_turn(lambda store: store.create())

    @override
    def migrate(self, *, dry_run: bool = False) -> str:
        return self._in_turn(lambda store: store.migrate(dry_run=dry_run))

    @override
    def ddl(self) -> str:
        return self._in_turn(lambda store: store.ddl())

    @override
    def check(self) -> None:
        """Begin a run: the store checks itself, and nothing is given that was read before."""
        self._begun = time.monotonic()
        self._reader.enter(self)
        self._reader.share("check", lambda store: store.check(), self._begun)

    @override
    def watch(self) -> None:
        self._reader.enter(self)
        self._reader.watch()

    @override
    def close(self) -> None:
        self._reader.leave(self)

    def _shared(self, what: str, ask: Callable[[EventStore], Result]) -> Result:
        self._reader.enter(self)
        return self._reader.share(what, ask, time.monotonic())

    def _in_turn(self, call: Callable[[EventStore], Result]) -> Result:
        self._reader.enter(self)
        with self._reader.turn:
            return call(self._reader.store)


def look_at(store: EventStore, event_id: int) -> StoredEvent | None:
    """Return that event to show that the store is still the same; exchanges may share a look."""
    if isinstance(store, SharedStore):
        return store.look_at(event_id)
    return store.stored_event(event_id)


def interrupt(store: EventStore) -> None:
    """End a wait for events that another thread is in, if the store is one that can do so."""
    if isinstance(store, SharedStore):
        store.interrupt()
