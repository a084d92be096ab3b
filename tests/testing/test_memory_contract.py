"""The in-memory parts pass the suites that everybody's parts must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.builtin.memory import InMemoryBroker, InMemoryEventStore, InMemoryMessageProducer
from tidings.plugins import Capability
from tidings.testing import EventStoreContract, MessageProducerContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings.interfaces import ReceivedMessage
    from tidings.testing import Link, MakeProducer, MakeStore


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
        {Capability.LOCK, Capability.UNROUTABLE, Capability.MOST_RECENT_ACCEPTED_ID}
    )
    no_progress_seconds = 0.3
    can_reject = True

    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    def make_producer(self, broker: InMemoryBroker) -> MakeProducer:
        return lambda via=None: InMemoryMessageProducer(broker, no_progress=0.3)

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
    needs_create = False
    has_link = False

    @pytest.fixture
    def make_store(self) -> MakeStore:
        store = InMemoryEventStore()
        return lambda via=None: store
