"""One serialization of an event, however many exchanges send it."""

from __future__ import annotations

import threading
from sys import getsizeof
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from tidings.interfaces import Serializer

if TYPE_CHECKING:
    from tidings.event import StoredEvent
    from tidings.interfaces import NotificationMessage

KEPT_BYTES: Final = 8 * 1024 * 1024
"""What is kept for the exchanges that come later."""

_OVERHEAD: Final = 1024
"""What an event and its message take beside the texts, about."""


class SerializedOnce(Serializer):
    """Serializes for several exchanges: an event that one has had is ready for the others.

    Keeps the newest messages, a few megabytes of them; an exchange that lags behind further than
    that has its events serialized again.

    **Threads.** May be called from any thread.
    """

    def __init__(self, serializer: Serializer, kept_bytes: int = KEPT_BYTES) -> None:
        self._serializer = serializer
        self._most = kept_bytes
        self._size = 0
        self._kept: dict[int, tuple[StoredEvent, NotificationMessage]] = {}
        self._lock = threading.Lock()

    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        kept = self._kept.get(event.event_id)
        # Not by its id alone: exchanges with sources of their own have events with the same ids.
        if kept is not None and kept[0] == event:
            return kept[1]
        message = self._serializer.serialize(event)
        with self._lock:
            self._keep(event, message)
        return message

    def _keep(self, event: StoredEvent, message: NotificationMessage) -> None:
        self._forget(event.event_id)
        self._kept[event.event_id] = event, message
        self._size += _size(event, message)
        while self._size > self._most:
            self._forget(next(iter(self._kept)))

    def _forget(self, event_id: int) -> None:
        kept = self._kept.pop(event_id, None)
        if kept is not None:
            self._size -= _size(*kept)


def _size(event: StoredEvent, message: NotificationMessage) -> int:
    # A text takes up to four bytes for each of its characters.
    return getsizeof(event.body) + getsizeof(event.metadata) + len(message.body) + _OVERHEAD
