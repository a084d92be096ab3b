"""What an exchange has had, for producers without a memory of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import UndeliverableEventError
from tidings.relay.route import notification, wanted

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
    ) -> None:
        self._open_store = open_store
        self._serializer = serializer
        self._events = events
        self._passes_poison = passes_poison
        self._store: EventStore | None = None

    def since(self, exchange_name: str, event_id: int, limit: int) -> list[Notification]:
        """Return up to ``limit`` notifications of events after ``event_id``, ascending.

        Without those that go into quarantine because they cannot be serialized.
        """
        serializer, patterns = self._serializer(exchange_name), self._events(exchange_name)
        store = self._store = self._store or self._open_store()
        found: list[Notification] = []
        while len(found) < limit:
            events = store.all_stored_events_since(event_id, limit)
            if not events:
                store.close()
                break
            event_id = events[-1].event_id
            for event in events:
                if wanted(patterns, event.type_name):
                    try:
                        found.append(notification(exchange_name, serializer, event))
                    except UndeliverableEventError:
                        if not self._passes_poison(exchange_name):
                            raise
        return found[:limit]
