"""The in-memory parts pass the suites that everybody's parts must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.builtin.json_serializer import JsonSerializer
from tidings.builtin.memory import (
    InMemoryBroker,
    InMemoryEventStore,
    InMemoryMessageConsumer,
    InMemoryMessageProducer,
    InMemoryPublishedMessageTracker,
)
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


class TestInMemoryMessageProducer(MessageProducerContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.LOCK,
            Capability.UNROUTABLE,
            Capability.MOST_RECENT_ACCEPTED_ID,
            Capability.OUT_OF_ORDER,
        }
    )
    no_progress_seconds = 0.3
    can_reject = True
    plugin_module = "tidings.builtin.plugin"
    backend = "memory"

    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    def make_producer(self, broker: InMemoryBroker) -> MakeProducer:
        return lambda via=None: InMemoryMessageProducer(
            broker, no_progress=self.no_progress_seconds
        )

    @pytest.fixture
    def read_back(self, broker: InMemoryBroker) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        read: dict[str, int] = {}

        def read_back(exchange_name: str, count: int) -> Sequence[ReceivedMessage]:
            start = read.get(exchange_name, 0)
            found = broker.messages(exchange_name)[start : start + count]
            read[exchange_name] = start + len(found)
            return found

        return read_back

    @pytest.fixture
    def link(self, broker: InMemoryBroker) -> Iterator[Link]:
        yield BrokerLink(broker)
        broker.thaw()

    @pytest.fixture
    def unbind(self, broker: InMemoryBroker) -> Callable[[str], None]:
        return broker.unbind

    @pytest.fixture
    def reject(self, broker: InMemoryBroker) -> Callable[[str], None]:
        return broker.reject


class TestInMemoryEventStore(EventStoreContract):
    plugin_module, backend = "tidings.builtin.plugin", "memory"
    needs_create = False
    has_link = False

    @pytest.fixture
    def make_store(self) -> MakeStore:
        store = InMemoryEventStore()
        return lambda via=None: store


class TestInMemoryMessageConsumer(MessageConsumerContract):
    plugin_module, backend = "tidings.builtin.plugin", "memory"

    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    def make_consumer(self, broker: InMemoryBroker) -> MakeConsumer:
        return lambda via=None: InMemoryMessageConsumer(broker, "app")

    @pytest.fixture
    def publish(self, broker: InMemoryBroker) -> Publish:
        def publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            producer = InMemoryMessageProducer(broker)
            producer.open(exchange_name)
            for notification in notifications:
                producer.send(exchange_name, *notification)
            producer.flush(exchange_name)
            producer.close(exchange_name)

        return publish

    @pytest.fixture
    def link(self, broker: InMemoryBroker) -> Link:
        return BrokerLink(broker)


class TestInMemoryPublishedMessageTracker(PublishedMessageTrackerContract):
    plugin_module, backend = "tidings.builtin.plugin", "memory"
    needs_create = False
    has_link = False

    @pytest.fixture
    def make_tracker(self) -> MakeTracker:
        tracker = InMemoryPublishedMessageTracker()
        return lambda via=None: tracker


class TestJsonSerializer(SerializerContract):
    plugin_module, backend = "tidings.builtin.plugin", "json"

    @pytest.fixture
    def make_serializer(self) -> Callable[[], Serializer]:
        return JsonSerializer
