"""An event store, a tracker and a broker in memory, and faults at chosen moments."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from tidings import (
    InMemoryBroker,
    InMemoryEventStore,
    InMemoryMessageProducer,
    InMemoryPublishedMessageTracker,
    NewEvent,
    NotificationService,
    Observer,
)
from tidings.builtin.json_serializer import JsonSerializer
from tidings.plugins import Capability
from tidings.relay.observers import Observers
from tidings.relay.route import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tidings import Hold, NotificationMessage

REMEMBERS = frozenset({Capability.MOST_RECENT_ACCEPTED_ID})
X = "x"


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    """Return as soon as ``condition`` holds; fail where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "It never happened."
        time.sleep(0.002)


class Producer(InMemoryMessageProducer):
    """Calls ``before_send`` with each event's id: the place where a test lets things go wrong."""

    def __init__(self, broker: InMemoryBroker, no_progress: float = 5.0) -> None:
        super().__init__(broker, no_progress=no_progress)
        self.before_send: Callable[[int], Any] = lambda _event_id: None

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        self.before_send(notification_id)
        super().send(
            exchange_name,
            notification_message,
            notification_type,
            notification_id,
            notification_occurred_on,
        )


class Told(Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def of(self, what: str) -> list[tuple[Any, ...]]:
        return [call for call in list(self.calls) if call[0] == what]

    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        self.calls.append(("published", exchange_name, count, last_event_id))

    def held(self, exchange_name: str, hold: Hold) -> None:
        self.calls.append(("held", exchange_name, hold.missing_id))

    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        self.calls.append(("failed", exchange_name, error, retry_in))

    def recovered(self, exchange_name: str, seconds: float) -> None:
        self.calls.append(("recovered", exchange_name, seconds))

    def standing_by(self, exchange_name: str, owner: str) -> None:
        self.calls.append(("standing_by", exchange_name, owner))


class Parts:
    """Everything that a relay is made of."""

    def __init__(self) -> None:
        self.store = InMemoryEventStore()
        self.tracker = InMemoryPublishedMessageTracker()
        self.broker = InMemoryBroker()
        self.producer = Producer(self.broker)
        self.told = Told()

    def append(self, count: int = 1, type_name: str = "OrderPlaced") -> None:
        with self.store.transaction() as transaction:
            self.store.append(transaction, *(NewEvent(type_name, {}) for _ in range(count)))

    def service(self, producer: Producer | None = None, **options: Any) -> NotificationService:
        options = {"observers": [self.told], **options}
        return NotificationService(self.store, self.tracker, producer or self.producer, **options)

    def route(self, exchange: str = X, **options: Any) -> Route:
        made: dict[str, Any] = {
            "exchange_name": exchange,
            "event_store": self.store,
            "tracker": self.tracker,
            "producer": self.producer,
            "serializer": JsonSerializer(),
            "observers": Observers([self.told]),
        }
        return Route(**(made | options))

    def ids(self, exchange: str = X) -> list[int]:
        return [int(message.message_id) for message in self.broker.messages(exchange)]

    def position(self, exchange: str = X) -> int | None:
        return self.tracker.most_recent_published_message_id(exchange)

    def owner(self, exchange: str = X) -> str | None:
        rows = {row.exchange_name: row.owner for row in self.tracker.tracked_exchanges()}
        return rows.get(exchange)


def relay_threads() -> Sequence[str]:
    """Return the names of the threads that tidings has running."""
    return [each.name for each in threading.enumerate() if each.name.startswith("tidings")]


def at(event_id: int, fault: Callable[[], Any]) -> Callable[[int], None]:
    """Return what lets ``fault`` happen before that event is sent, the first time."""
    happened: list[int] = []

    def before_send(this: int) -> None:
        if this == event_id and not happened:
            happened.append(this)
            fault()

    return before_send
