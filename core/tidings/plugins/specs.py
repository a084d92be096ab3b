"""What a plugin says of each thing it offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

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

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


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

    oldest_event_id: Callable[[str], int | None] = lambda _exchange_name: None
    """``(exchange_name)``: the least id that the exchange's event store still holds, whether the
    exchange sends that event or not; ``None`` if it holds none. What is asked for below it was
    deleted, and cannot be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What all specs have in common.

    What makes a part is its factory: a class or a function, or text that says where that is, as
    ``"module:name"``. That module is imported when the factory is called. So it may import the
    broker's library, and the module with the hooks need not.
    """

    name: str
    """The word in the configuration: the entry point's name."""
    settings: type[Settings]
    """Checked before a factory is called with it."""
    requires: Sequence[str] = ()
    """Top-level modules that a factory imports: ``("pika",)``."""
    install: str = ""
    """What pip is to install when one of them is missing: ``"tidings[rabbitmq]"``."""
    api: int = 1
    """The interface that the plugin was written for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec(Spec):
    """Offers a producer, and a consumer of what it sends."""

    producer: Callable[..., MessageProducer] | str
    """The producer's factory. Called with the settings; it connects to nothing."""
    wants_context: bool = False
    """Whether ``producer`` is given a :class:`ProducerContext`, too, behind the settings: for a
    backend that has no memory of its own."""
    consumer: Callable[[Any, str | None], MessageConsumer] | str | None = None
    """The consumer's factory, if there is one. Called with the settings and the name of the
    subscriber to be: what ``tidings listen --as`` says, and ``None`` without it. Choose then: a
    setting ``subscriber`` of your own, for instance, or the first of a list ``subscribers``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStoreSpec(Spec):
    """Offers an event store."""

    factory: Callable[[Any], EventStore] | str
    tracker: Callable[[Any, PublishedMessageTracker], PublishedMessageTracker] | str | None = None
    """For a store that marks or removes what was published. Called with the settings and the
    tracker of an exchange that has this store as its source; returns the tracker to use. That one
    has the ``capabilities`` of the other, and forwards every method that belongs to one."""
    drains: Callable[[Any], Hashable] | str = lambda settings: settings
    """What such a store empties, by its settings: two exchanges for which it is equal would take
    each other's events, and are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSpec(Spec):
    """Offers a tracker."""

    factory: Callable[[Any], PublishedMessageTracker] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class SerializerSpec(Spec):
    """Offers a serializer."""

    factory: Callable[[Any], Serializer] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverSpec(Spec):
    """Offers an observer."""

    factory: Callable[[Any], Observer] | str


AnySpec: TypeAlias = BackendSpec | EventStoreSpec | TrackerSpec | SerializerSpec | ObserverSpec
