"""The in-memory parts pass the suites that everybody's parts must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from typing_extensions import override

from tidings.builtin.json_serializer import JsonSerializer
from tidings.builtin.memory import (
    InMemoryBroker,
    InMemoryConsumer,
    InMemoryEventStore,
    InMemoryProducer,
    InMemoryTracker,
)
from tidings.builtin.memory.event_store import bounded
from tidings.plugins import Capability
from tidings.testing import (
    EventStoreContract,
    MessageConsumerContract,
    MessageProducerContract,
    PublishedMessageTrackerContract,
    SerializerContract,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings.builtin.memory.event_store import InMemoryTransaction
    from tidings.event import StoredEvent
    from tidings.interfaces import Notification, ReceivedMessage, Serializer
    from tidings.testing import Link, MakeConsumer, MakeProducer, MakeStore, MakeTracker, Publish


class BrokerLink:
    """The broker in memory, as the suites break the way to it."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.freeze, self.thaw, self.cut = broker.freeze, broker.thaw, broker.cut
        self.refuse, self.admit = broker.refuse, broker.admit
        self._broker = broker

    @property
    def address(self) -> tuple[str, int]:
        return ("in memory", 0)

    @property
    def connections(self) -> int:
        return self._broker.connections

    @property
    def opened(self) -> int:
        return self._broker.opened


class TestInMemoryProducer(MessageProducerContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.LOCK,
            Capability.UNROUTABLE,
            Capability.MOST_RECENT_ACCEPTED,
            Capability.OUT_OF_ORDER,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )
    no_progress_seconds = 0.3
    frozen_bytes = None  # it keeps the caller's own objects
    can_reject = True
    plugin_module = "tidings.builtin.plugin"
    backend = "memory"

    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    @override
    def make_producer(self, broker: InMemoryBroker) -> MakeProducer:
        return lambda via=None: InMemoryProducer(broker, no_progress=self.no_progress_seconds)

    @pytest.fixture
    @override
    def read_back(self, broker: InMemoryBroker) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        read: dict[str, int] = {}

        def read_back(exchange_name: str, count: int) -> Sequence[ReceivedMessage]:
            start = read.get(exchange_name, 0)
            found = broker.messages(exchange_name)[start : start + count]
            read[exchange_name] = start + len(found)
            return found

        return read_back

    @pytest.fixture
    @override
    def link(self, broker: InMemoryBroker) -> Iterator[Link]:
        yield BrokerLink(broker)
        broker.thaw()

    @pytest.fixture
    @override
    def unbind(self, broker: InMemoryBroker) -> Callable[[str], None]:
        return broker.unbind

    @pytest.fixture
    @override
    def reject(self, broker: InMemoryBroker) -> Callable[[str], None]:
        return broker.reject


class TestInMemoryEventStore(EventStoreContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.PRUNE})
    plugin_module, backend = "tidings.builtin.plugin", "memory"
    needs_create = False
    has_link = False
    can_be_spoiled = can_be_replaced = False

    @pytest.fixture
    @override
    def make_store(self) -> MakeStore:
        store = InMemoryEventStore()
        return lambda via=None: store


class DrawsAtTheCommit(InMemoryEventStore):
    """As a commit log: an event gets its id as its transaction commits."""

    drawn = 0

    @override
    def _end(self, transaction: InMemoryTransaction, *, commit: bool) -> None:
        events, transaction.events = transaction.events, []
        super()._end(transaction, commit=commit)
        with self._lock:
            for event in events if commit else ():
                self.drawn += 1
                self._events.append(event._replace(event_id=self.drawn))

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        with self._lock:
            return bounded([each for each in self._events if each.event_id > event_id][:limit])


class TestStoreThatDrawsIdsAtTheCommit(TestInMemoryEventStore):
    ids_at_commit = True

    @pytest.fixture
    @override
    def make_store(self) -> MakeStore:
        store = DrawsAtTheCommit()
        return lambda via=None: store


class TestInMemoryConsumer(MessageConsumerContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ROUTING, Capability.PARTITIONS}
    )
    plugin_module, backend = "tidings.builtin.plugin", "memory"

    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    @override
    def make_consumer(self, broker: InMemoryBroker) -> MakeConsumer:
        return lambda via=None: InMemoryConsumer(broker, "app", no_progress=0.3)

    @pytest.fixture
    @override
    def make_other_consumer(self, broker: InMemoryBroker) -> MakeConsumer:
        return lambda via=None: InMemoryConsumer(broker, "audit")

    @pytest.fixture
    @override
    def publish(self, broker: InMemoryBroker) -> Publish:
        def publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            producer = InMemoryProducer(broker)
            producer.open(exchange_name)
            for notification in notifications:
                producer.send(exchange_name, *notification)
            producer.flush(exchange_name)
            producer.close(exchange_name)

        return publish

    @pytest.fixture
    @override
    def link(self, broker: InMemoryBroker) -> Link:
        return BrokerLink(broker)


class TestInMemoryTracker(PublishedMessageTrackerContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.QUARANTINE, Capability.NOTES, Capability.JOURNAL, Capability.PAUSE}
    )
    plugin_module, backend = "tidings.builtin.plugin", "memory"
    needs_create = False
    has_link = False
    can_be_restored = False

    @pytest.fixture
    @override
    def make_tracker(self) -> MakeTracker:
        tracker = InMemoryTracker()
        return lambda via=None: tracker


class TestJsonSerializer(SerializerContract):
    plugin_module, backend = "tidings.builtin.plugin", "json"

    @pytest.fixture
    @override
    def make_serializer(self) -> Callable[[], Serializer]:
        return JsonSerializer
