"""The events that are no longer in memory: read out of the event store."""

from __future__ import annotations

import enum
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import DeliveryError, EventStoreError, escaping_logger
from tidings_zeromq.event_wire import encode_event
from tidings_zeromq.selection import Traits, traits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.plugins import Notification, ProducerContext

log = escaping_logger("tidings.zeromq")


class Reach(enum.Enum):
    """Whether the event store goes as far as an id."""

    THAT_FAR = enum.auto()
    """It holds that event or a later one; or none at all, which says nothing."""

    ENDS_BEFORE = enum.auto()
    """It holds events, and none from that id on."""

    UNKNOWN = enum.auto()
    """It cannot be read."""


class BacklogEvent(NamedTuple):
    """An event of the store, as the wire has it."""

    event_id: int
    event: bytes
    """For the wire."""
    traits: Traits


class Backlog:
    """One exchange's events in the event store, ready for the wire.

    Without those that cannot be sent, if the relay passes them as well.

    A store that cannot be read delays those who need it, and nobody else: it is logged once, and
    tried again. While one is slow, nobody is served: :attr:`seconds` says for how long in all.
    """

    def __init__(self, exchange_name: str, context: ProducerContext) -> None:
        self._exchange_name = exchange_name
        self._context = context
        self._failure = ""
        self.seconds = 0.0
        """How long the event store was waited for, since this was made."""

    def after(self, event_id: int, limit: int) -> list[BacklogEvent] | None:
        """Return up to ``limit`` events after ``event_id``, ascending.

        Fewer, even none, if there are no more *now*: a lower id may still appear. ``None``
        if the store cannot be read.
        """
        try:
            with self._waiting():
                found = self._read(event_id, limit)
        except (EventStoreError, DeliveryError, ValueError) as error:
            if str(error) != self._failure:
                self._failure = str(error)
                log.warning(
                    "Exchange %r: subscribers that lack events from %d on wait, because the event "
                    "store cannot be read: %s",
                    self._exchange_name,
                    event_id + 1,
                    error,
                )
            return None
        self._failure = ""
        return found

    def first_left(self, event_id: int) -> int | None:
        """Return the oldest id left in the store if ids between ``event_id`` and it are gone."""
        try:
            with self._waiting():
                oldest = self._context.oldest_event_id(self._exchange_name)
        except EventStoreError:
            return None  # the next read says what is wrong
        return oldest if oldest is not None and oldest > event_id + 1 else None

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - begun

    def _read(self, event_id: int, limit: int) -> list[BacklogEvent]:
        found: list[BacklogEvent] = []
        while True:
            stored = self._context.notifications_since(
                self._exchange_name, event_id, limit - len(found)
            )
            encoded = [
                BacklogEvent(each.event_id, event, traits_of(each.message))
                for each in stored
                if (event := self._encode(each))
            ]
            found += encoded
            if len(encoded) == len(stored):
                return found
            event_id = stored[-1].event_id

    def _encode(self, notification: Notification) -> bytes | None:
        """Return an event's bytes; ``None`` if it cannot be sent and the relay passes it."""
        try:
            return encode_event(*notification)
        except ValueError as error:
            if self._context.passes_poison(self._exchange_name):
                return None
            raise ValueError(
                f"event {notification.event_id} cannot be sent over ZeroMQ: {error}"
            ) from error

    def reach(self, event_id: int) -> Reach:
        """Return whether the store goes as far as ``event_id``."""
        newer = self.after(event_id - 1, 1)
        if newer is None:
            return Reach.UNKNOWN
        first = None if newer else self.after(0, 1)
        return Reach.ENDS_BEFORE if first else Reach.THAT_FAR
