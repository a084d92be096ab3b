"""What a plugin says of each thing it offers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import (
        EventStore,
        MessageConsumer,
        MessageProducer,
        Notification,
        Observer,
        PublishedMessageTracker,
        Serializer,
    )

API = 1
"""The number of this interface. It grows when a plugin written for the last one may break."""


class Settings(BaseModel):
    """Base of a backend's settings: unknown words are errors, values don't change.

    Secrets are ``pydantic.SecretStr``; a field's ``description`` is shown to people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Capability(enum.StrEnum):
    """What a producer can do beyond its interface."""

    MOST_RECENT_ACCEPTED_ID = "most_recent_accepted_id"
    """The broker remembers the newest id it has; nothing is published twice after a crash."""

    REMEMBERS_DURABLY = "remembers_durably"
    """What ``most_recent_accepted_id`` says, and all it stands for, survives the broker's crash:
    the tracker may be moved there. Without it, only own acceptance moves the tracker."""

    LOCK = "lock"
    """The broker lets only one producer at a time publish to an exchange."""

    UNROUTABLE = "unroutable"
    """A message that no subscriber's queue would get is not accepted. With a broker that doesn't
    tell, such a message is lost: then the backend's README says so."""

    OUT_OF_ORDER = "out_of_order"
    """An exchange that was opened anew also takes an event whose id is lower than the newest it
    has had: one that was in quarantine can be sent again."""


@dataclass(frozen=True, slots=True)
class ProducerContext:
    """What a producer may use of the rest of tidings."""

    notifications_since: Callable[[str, int, int], Sequence[Notification]]
    """``(exchange_name, event_id, limit)``: the exchange's notifications after ``event_id``,
    ascending, out of the event store, as the service would send them. For a backend that has no
    memory of its own. To be called from the thread that uses the producer."""

    passes_poison: Callable[[str], bool] = lambda _exchange_name: False
    """``(exchange_name)``: whether the exchange goes on without an event that can never be sent
    (``on_poison = "quarantine"``). Then one that ``notifications_since`` gives, and the backend
    refuses, is left out; else it is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What all specs have in common."""

    name: str
    """The word in the configuration: the entry point's name."""
    settings: type[Settings]
    """Checked before ``factory`` is called with it."""
    requires: Sequence[str] = ()
    """Top-level modules that ``factory`` imports: ``("pika",)``."""
    install: str = ""
    """What pip is to install when one of them is missing: ``"tidings[rabbitmq]"``."""
    api: int = 1
    """The interface that the plugin was written for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageProducerSpec(Spec):
    """Offers a producer. The factory imports the broker's library; it connects to nothing."""

    factory: Callable[[Any, ProducerContext], MessageProducer]
    capabilities: Callable[[Any], frozenset[Capability]] = lambda _settings: frozenset()
    """What a producer with these settings can do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageConsumerSpec(Spec):
    """Offers a consumer, with the settings of the producer of the same name."""

    factory: Callable[[Any, str | None], MessageConsumer]
    """Called with the settings and the name of the subscriber to be: what ``tidings listen --as``
    says, and ``None`` without it. Choose then: a setting ``subscriber`` of your own, for instance,
    or the first of a list ``subscribers``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStoreSpec(Spec):
    """Offers an event store."""

    factory: Callable[[Any], EventStore]
    tracker: Callable[[Any, PublishedMessageTracker], PublishedMessageTracker] | None = None
    """Called with the settings and the tracker of an exchange that has this store as its source;
    returns the tracker to use, for a store that marks or removes what was published. That one
    forwards every method, those that have a default too (``note_stop``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSpec(Spec):
    """Offers a tracker."""

    factory: Callable[[Any], PublishedMessageTracker]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerializerSpec(Spec):
    """Offers a serializer."""

    factory: Callable[[Any], Serializer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverSpec(Spec):
    """Offers an observer."""

    factory: Callable[[Any], Observer]


AnySpec: TypeAlias = (
    MessageProducerSpec
    | MessageConsumerSpec
    | EventStoreSpec
    | TrackerSpec
    | SerializerSpec
    | ObserverSpec
)
