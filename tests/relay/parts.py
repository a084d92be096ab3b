"""An event store, a tracker and a broker in memory, and failures at chosen moments."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tidings import (
    InMemoryBroker,
    InMemoryEventStore,
    InMemoryProducer,
    InMemoryTracker,
    NewEvent,
    NotificationService,
    Observer,
)
from tidings.builtin.json_serializer import JsonSerializer
from tidings.plugins import Accepted, Capability, OpenExchange
from tidings.relay.observers import Observers
from tidings.relay.route import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tidings import Hold, Lease, StoredEvent
    from tidings.plugins import AcceptedBatch, ExchangeContext, Notification, Pause

REMEMBERS = frozenset({Capability.MOST_RECENT_ACCEPTED})
X = "x"


class PassingOn(OpenExchange):
    """Passes every call on to the exchange inside: the place for what a test lets go wrong."""

    def __init__(self, inside: OpenExchange) -> None:
        self.inside = inside

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        self.inside.send(notifications)

    @override
    def flush(self, timeout: float | None = None) -> None:
        self.inside.flush(timeout)

    @override
    def accepted_id(self) -> int | None:
        return self.inside.accepted_id()

    @override
    def most_recent_accepted(self) -> Accepted | None:
        return self.inside.most_recent_accepted()

    @override
    def accepted_ahead(self) -> Sequence[Accepted]:
        return self.inside.accepted_ahead()

    @override
    def unroutable_count(self) -> int:
        return self.inside.unroutable_count()

    @override
    def wait(self, seconds: float) -> None:
        self.inside.wait(seconds)

    @override
    def close(self) -> None:
        self.inside.close()


class _Hooked(PassingOn):
    def __init__(self, inside: OpenExchange, producer: Producer) -> None:
        super().__init__(inside)
        self._producer = producer
        self._unroutable = 0

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        for each in notifications:
            self._producer.before_send(each.event_id)
            self.inside.send([each])
            self._unroutable += each.event_id in self._producer.unroutable

    @override
    def unroutable_count(self) -> int:
        return self._unroutable

    @override
    def wait(self, seconds: float) -> None:
        self._producer.waits.append(seconds)
        self._producer.before_wait()
        self.inside.wait(seconds)


class Producer(InMemoryProducer):
    """Calls ``before_send`` with each event's id, ``before_wait`` with none: to let things fail."""

    capabilities = frozenset({Capability.WAIT_SETTLES})

    def __init__(self, broker: InMemoryBroker, no_progress: float = 5.0) -> None:
        super().__init__(broker, no_progress=no_progress)
        self.before_send: Callable[[int], Any] = lambda _event_id: None
        self.unroutable: Collection[int] = ()
        """Ids of events that reach nobody, as if a setting let them pass."""
        self.contexts: list[ExchangeContext] = []
        self.waits: list[float] = []
        self.before_wait: Callable[[], Any] = lambda: None

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        self.contexts.append(context)
        return _Hooked(super().open_exchange(context), self)

    def on_accepted(self) -> None:
        """Call what the relay gave to be called, as a real producer does in the midst of a call."""
        self.contexts[-1].on_accepted()


class Told(Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def of(self, what: str) -> list[tuple[Any, ...]]:
        return [call for call in list(self.calls) if call[0] == what]

    @override
    def started(self, exchange_name: str) -> None:
        self.calls.append(("started", exchange_name))

    @override
    def ended(self, exchange_name: str, error: Exception | None) -> None:
        self.calls.append(("ended", exchange_name, error))

    @override
    def lease_taken(self, exchange_name: str, lease: Lease) -> None:
        self.calls.append(("lease_taken", exchange_name, lease))

    @override
    def lease_released(self, exchange_name: str) -> None:
        self.calls.append(("lease_released", exchange_name))

    @override
    def lease_lost(self, exchange_name: str) -> None:
        self.calls.append(("lease_lost", exchange_name))

    @override
    def sent(self, exchange_name: str, events: Sequence[StoredEvent]) -> None:
        self.calls.append(("sent", exchange_name, [event.event_id for event in events]))

    @override
    def accepted(self, exchange_name: str, batch: AcceptedBatch) -> None:
        self.calls.append(("accepted", exchange_name, batch))

    @override
    def spent(self, exchange_name: str, seconds: Mapping[str, float]) -> None:
        self.calls.append(("spent", exchange_name, dict(seconds)))

    @override
    def idle(self, exchange_name: str) -> None:
        self.calls.append(("idle", exchange_name))

    @override
    def no_longer_held(self, exchange_name: str, missing_id: int, seconds: float) -> None:
        self.calls.append(("no_longer_held", exchange_name, missing_id, seconds))

    @override
    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        self.calls.append(("quarantined", exchange_name, event_id, reason))

    @override
    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        self.calls.append(("published", exchange_name, count, last_event_id))

    @override
    def unroutable(self, exchange_name: str, count: int) -> None:
        self.calls.append(("unroutable", exchange_name, count))

    @override
    def held(self, exchange_name: str, hold: Hold) -> None:
        self.calls.append(("held", exchange_name, hold.missing_id))

    @override
    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        self.calls.append(("failed", exchange_name, error, retry_in))

    @override
    def recovered(self, exchange_name: str, seconds: float) -> None:
        self.calls.append(("recovered", exchange_name, seconds))

    @override
    def paused(self, exchange_name: str, pause: Pause) -> None:
        self.calls.append(("paused", exchange_name, pause))

    @override
    def resumed(self, exchange_name: str) -> None:
        self.calls.append(("resumed", exchange_name))

    @override
    def standing_by(self, exchange_name: str, owner: str) -> None:
        self.calls.append(("standing_by", exchange_name, owner))


class Parts:
    """Everything that a relay is made of."""

    def __init__(self) -> None:
        self.store = InMemoryEventStore()
        self.tracker = InMemoryTracker()
        self.broker = InMemoryBroker()
        self.producer = Producer(self.broker)
        self.told = Told()

    def append(self, count: int = 1, type_name: str = "OrderPlaced") -> None:
        with self.store.transaction() as transaction:
            self.store.append(transaction, *(NewEvent(type_name, {}) for _ in range(count)))

    def roll_back(self, count: int = 1) -> None:
        """Let so many ids be missing: those of a transaction that was rolled back."""
        with suppress(RuntimeError), self.store.transaction() as transaction:
            self.store.append(transaction, *(NewEvent("OrderPlaced", {}) for _ in range(count)))
            raise RuntimeError

    def service(self, producer: Producer | None = None, **options: Any) -> NotificationService:
        return NotificationService(self.route(producer=producer or self.producer, **options))

    def route(self, exchange: str = X, **options: Any) -> Route:
        made: dict[str, Any] = {
            "exchange_name": exchange,
            "event_store": self.store,
            "tracker": self.tracker,
            "producer": self.producer,
            "serializer": JsonSerializer(),
            "observers": Observers([self.told]),
        }
        made |= options
        made["producer"].capabilities = made.pop("capabilities", made["producer"].capabilities)
        return Route(**made)

    def ids(self, exchange: str = X) -> list[int]:
        return [int(message.message_id) for message in self.broker.messages(exchange)]

    def position(self, exchange: str = X) -> int | None:
        return self.tracker.most_recent_published_message_id(exchange)

    def owner(self, exchange: str = X) -> str | None:
        rows = {row.exchange_name: row.owner for row in self.tracker.tracked_exchanges()}
        return rows.get(exchange)


def relay_threads() -> Sequence[str]:
    """Return the names of the threads that tidings has running."""
    return [each.name for each in threading.enumerate() if each.name.startswith("tidings-")]


def at(event_id: int, act: Callable[[], Any]) -> Callable[[int], None]:
    """Return what lets ``act`` happen before that event is sent, the first time."""
    happened: list[int] = []

    def before_send(this: int) -> None:
        if this == event_id and not happened:
            happened.append(this)
            act()

    return before_send
