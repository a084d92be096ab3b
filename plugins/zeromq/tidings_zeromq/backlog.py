"""The events that are no longer in memory: read out of the event store."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tidings.plugins import DeliveryError, EventStoreError
from tidings_zeromq.wire import encode_event

if TYPE_CHECKING:
    from tidings.plugins import Notification, ProducerContext

_log = logging.getLogger("tidings.zeromq")


class Backlog:
    """One exchange's events in the event store, ready for the wire.

    Without those that cannot be sent, where the relay passes them as well.

    A store that cannot be read delays those who need it, and nobody else: it is logged once, and
    tried again.
    """

    def __init__(self, exchange_name: str, context: ProducerContext) -> None:
        self._exchange_name = exchange_name
        self._context = context
        self._failure = ""

    def after(self, event_id: int, limit: int) -> list[tuple[int, bytes]] | None:
        """Return up to ``limit`` events after ``event_id`` with their ids, ascending.

        Fewer, even none, where there are no more *now*: a lower id may still be settled. ``None``
        where the store cannot be read.
        """
        try:
            found = self._read(event_id, limit)
        except (EventStoreError, DeliveryError, ValueError) as error:
            if str(error) != self._failure:
                self._failure = str(error)
                _log.warning(
                    "Exchange %r: subscribers that lack events from %d on wait, because the event "
                    "store cannot be read: %s",
                    self._exchange_name,
                    event_id + 1,
                    error,
                )
            return None
        self._failure = ""
        return found

    def _read(self, event_id: int, limit: int) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        while True:
            stored = self._context.notifications_since(
                self._exchange_name, event_id, limit - len(found)
            )
            encoded = [(each.event_id, event) for each in stored if (event := self._encode(each))]
            found += encoded
            if len(encoded) == len(stored):
                return found
            event_id = stored[-1].event_id

    def _encode(self, notification: Notification) -> bytes | None:
        """Return an event's bytes; ``None`` where it cannot be sent and the relay passes it."""
        try:
            return encode_event(*notification)
        except ValueError as error:
            if self._context.passes_poison(self._exchange_name):
                return None
            raise ValueError(
                f"event {notification.event_id} cannot be sent over ZeroMQ: {error}"
            ) from error

    def is_behind(self, event_id: int) -> bool | None:
        """Return whether the store, though not empty, holds nothing from ``event_id`` on.

        ``None`` where it cannot be read.
        """
        newer = self.after(event_id - 1, 1)
        if newer is None:
            return None
        first = None if newer else self.after(0, 1)
        return bool(first)
