"""What an exchange is made of, and what is sent to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING

from tidings.blame import sentence_of
from tidings.defaults import BATCH_SIZE, LEASE_SECONDS
from tidings.errors import UndeliverableEventError
from tidings.event import UNREADABLE_TIME, StoredEvent
from tidings.interfaces import Capability, Notification
from tidings.relay.journal_writer import JournalBounds
from tidings.relay.observers import Observers
from tidings.routing.addressing import Addressing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.errors import UnreadableEventError
    from tidings.interfaces import (
        EventStore,
        Lease,
        MessageProducer,
        PublishedMessageTracker,
        Serializer,
    )


@dataclass(frozen=True, slots=True)
class Route:
    """What an exchange is made of.

    ``tidings.bootstrap.Tidings.route`` makes it from a configuration. By hand::

        Route("orders", store, tracker, producer, JsonSerializer())
    """

    exchange_name: str
    event_store: EventStore
    tracker: PublishedMessageTracker
    producer: MessageProducer
    serializer: Serializer
    events: Sequence[str] = ()
    """Type names to send, with wildcards; all if there is none."""
    batch_size: int = BATCH_SIZE
    """How many events are read at a time, at most."""
    lease_seconds: float = LEASE_SECONDS
    """How long a dead relay keeps those on other machines from taking over."""
    passes_poison: bool = False
    """Whether an event that can never be sent is put in quarantine and passed; else it stops the
    exchange. The tracker must keep a quarantine."""
    observers: Observers = field(default_factory=Observers)
    journal: JournalBounds = field(default_factory=JournalBounds)
    """How much of what happens is kept, if the tracker keeps a journal."""
    addressing: Addressing = field(default_factory=Addressing)
    """The routing key and the headers that each message is given."""

    def __post_init__(self) -> None:
        """Refuse what could not be done when it comes to it."""
        if self.passes_poison and not self.keeps_quarantine:
            raise ValueError(
                f"Exchange {self.exchange_name!r} is to pass what can never be sent, and its "
                "tracker keeps no quarantine: it does not declare Capability.QUARANTINE."
            )

    @property
    def keeps_quarantine(self) -> bool:
        """Whether the tracker keeps what is passed because it can never be sent."""
        return Capability.QUARANTINE in self.tracker.capabilities

    def note_stop(self, event_id: int | None, reason: str, lease: Lease) -> None:
        """Note beside the position why the exchange stands still, if the tracker keeps that."""
        if Capability.NOTES in self.tracker.capabilities:
            self.tracker.note_stop(event_id, reason, lease)


def notification(
    exchange_name: str,
    serializer: Serializer,
    event: StoredEvent,
    addressing: Addressing,
) -> Notification:
    """Return what is to be sent for ``event``, or raise ``UndeliverableEventError``."""
    try:
        message = serializer.serialize(event)
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else sentence_of(error)
        raise UndeliverableEventError(
            f"Exchange {exchange_name!r}: event {event.event_id} ({event.type_name}) cannot be "
            f"serialized: {reason}. Mend it in the event store.",
            exchange_name=exchange_name,
            event_id=event.event_id,
        ) from error
    try:
        message = addressing.complete(message, event)
    except ValueError as error:
        raise UndeliverableEventError(
            f"Exchange {exchange_name!r}: event {event.event_id} ({event.type_name}) cannot be "
            f"addressed: {error}. Or put such events in quarantine.",
            exchange_name=exchange_name,
            event_id=event.event_id,
        ) from error
    return Notification(message, event.type_name, event.event_id, event.occurred_on)


def stand_in(error: UnreadableEventError) -> StoredEvent:
    """Return what stands for an event that cannot be read, in a position and in quarantine."""
    return StoredEvent(error.event_id, error.type_name or "", "", UNREADABLE_TIME)


def unreadable(exchange_name: str, error: UnreadableEventError) -> UndeliverableEventError:
    """Return the error of an exchange that comes to an event that cannot be read."""
    return UndeliverableEventError(
        f"Exchange {exchange_name!r}: {error}", exchange_name=exchange_name, event_id=error.event_id
    )


def wanted(patterns: Sequence[str], type_name: str) -> bool:
    """Return whether an exchange with these patterns sends events of that type.

    Only ``*`` and ``?`` stand for others: a type may be called ``Event[Order]``.
    """
    return not patterns or any(_matcher(pattern).match(type_name) for pattern in patterns)


@cache
def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))
