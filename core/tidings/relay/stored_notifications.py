"""What an exchange has had, for producers without a memory of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import UndeliverableEventError, UnreadableEventError
from tidings.relay.route import notification, unreadable, wanted
from tidings.routing.addressing import Addressing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import EventStore, Notification, Serializer


class StoredNotifications:
    """Reads exchanges' notifications out of the event store, as the relay would send them.

    Its connection is kept from call to call until the newest event has been reached. Used by one
    thread.
    """

    def __init__(
        self,
        open_store: Callable[[], EventStore],
        serializer: Callable[[str], Serializer],
        events: Callable[[str], Sequence[str]],
        passes_poison: Callable[[str], bool] = lambda _exchange_name: False,
        addressing: Callable[[str], Addressing] = lambda _exchange_name: Addressing(),
    ) -> None:
        self._open_store = open_store
        self._serializer = serializer
        self._events = events
        self._passes_poison = passes_poison
        self._addressing = addressing
        self._store: EventStore | None = None
        self._has_more = False

    def since(self, exchange_name: str, event_id: int, limit: int) -> list[Notification]:
        """Return up to ``limit`` notifications of events after ``event_id``, ascending.

        Not more than one batch of the event store's, whose size is bounded; none if there are
        no more. Without those that go into quarantine because they cannot be read or serialized.
        """
        serializer, patterns = self._serializer(exchange_name), self._events(exchange_name)
        addressing = self._addressing(exchange_name)
        store = self._opened()
        found: list[Notification] = []
        self._has_more = True
        while not found:
            try:
                events = store.all_stored_events_since(event_id, limit)
            except UnreadableEventError as error:
                is_meant = error.type_name is None or wanted(patterns, error.type_name)
                if is_meant and not self._passes_poison(exchange_name):
                    raise unreadable(exchange_name, error) from error
                event_id = error.event_id
                continue
            if len(events) < limit:  # it may be the end, after which nobody asks again
                self._has_more = False
                store.close()
            if not events:
                break
            event_id = events[-1].event_id
            for event in events:
                if wanted(patterns, event.type_name):
                    try:
                        found.append(notification(exchange_name, serializer, event, addressing))
                    except UndeliverableEventError:
                        if not self._passes_poison(exchange_name):
                            raise
        return found

    def oldest_event_id(self, _exchange_name: str) -> int | None:
        """Return the least id that the event store still holds, or ``None``."""
        store = self._opened()
        try:
            return store.oldest_event_id()
        finally:
            if not self._has_more:
                store.close()

    def _opened(self) -> EventStore:
        self._store = self._store or self._open_store()
        return self._store
