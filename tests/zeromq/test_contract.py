"""The suites that every backend passes.

There is no broker: what holds a message safely is the required subscriber. So the suites read that
back, and the proxy stands between it and the relay.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.servers.process import free_port
from tests.zeromq.events import event
from tests.zeromq.readers import Reader
from tidings.plugins import Capability
from tidings.testing import MessageConsumerContract, MessageProducerContract
from tidings.testing.waiting import until
from tidings_zeromq.consumer import ZeroMQConsumer
from tidings_zeromq.producer import ZeroMQProducer
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings.plugins import Notification, ProducerContext, ReceivedMessage
    from tidings.testing import MakeConsumer, MakeProducer

Address = tuple[str, int]


class RequiredSubscriber:
    """Reads every exchange of a test; keeps what it has, as an application would."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._readers: dict[str, Reader] = {}
        self._read: dict[str, int] = {}
        self._exchanges: list[str] = []
        self._started = False

    def add(self, exchange_name: str) -> None:
        self._exchanges.append(exchange_name)
        if self._started:
            self.start()

    def start(self) -> None:
        self._started = True
        host, port = self.address
        for name in self._exchanges:
            if name not in self._readers:
                reader = Reader(f"tcp://{host}:{port}", exchange_name=name, last_id=0)
                self._readers[name] = reader.__enter__()

    def read(self, exchange_name: str, count: int) -> Sequence[ReceivedMessage]:
        reader = self._readers[exchange_name]
        begin = self._read.get(exchange_name, 0)
        until(lambda: len(reader.messages) >= begin + count, 10)
        messages = reader.messages[begin : begin + count]
        self._read[exchange_name] = begin + len(messages)
        return messages

    def end(self) -> None:
        for reader in self._readers.values():
            reader.__exit__()


class TestProducer(MessageProducerContract):
    capabilities = frozenset(
        {
            Capability.LOCK,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )
    has_broker = False
    plugin_module, backend = "tidings_zeromq.plugin", "zeromq"
    has_undeliverable = True
    no_progress_seconds = 1.0

    @pytest.fixture
    @override
    def server_address(self) -> Address:
        return ("127.0.0.1", free_port())

    @pytest.fixture
    def subscriber(self, server_address: Address) -> Iterator[RequiredSubscriber]:
        subscriber = RequiredSubscriber(server_address)
        yield subscriber
        subscriber.end()

    @pytest.fixture
    @override
    def subscribe(self, subscriber: RequiredSubscriber) -> Callable[[str], None]:
        return subscriber.add

    @pytest.fixture
    @override
    def make_producer(
        self, server_address: Address, subscriber: RequiredSubscriber, context: ProducerContext
    ) -> MakeProducer:
        host, port = server_address
        settings = ZeroMQSettings(
            bind=f"tcp://{host}:{port}",
            no_progress_timeout=self.no_progress_seconds,
            heartbeat=0.3,
        )

        def make(via: Address | None = None) -> ZeroMQProducer:
            subscriber.address = via or subscriber.address
            subscriber.start()
            return ZeroMQProducer(settings, context)

        return make

    @pytest.fixture
    @override
    def read_back(
        self, subscriber: RequiredSubscriber
    ) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        return subscriber.read

    @pytest.fixture
    @override
    def undeliverable(self) -> Notification:

        return event(50)._replace(type_name="\ud800")


class TestConsumer(MessageConsumerContract):
    capabilities = frozenset({Capability.ROUTING, Capability.PARTITIONS})
    plugin_module, backend = "tidings_zeromq.plugin", "zeromq"

    @pytest.fixture
    @override
    def server_address(self) -> Address:
        return ("127.0.0.1", free_port())

    @pytest.fixture
    def settings_here(self, server_address: Address) -> ZeroMQSettings:
        host, port = server_address
        return ZeroMQSettings(
            bind=f"tcp://{host}:{port}",
            heartbeat=0.3,
            no_progress_timeout=3600,  # a test that hangs says so by its own patience
        )

    @pytest.fixture
    @override
    def make_consumer(self, settings_here: ZeroMQSettings) -> MakeConsumer:
        def make(via: Address | None = None) -> ZeroMQConsumer:
            connect = None if via is None else f"tcp://{via[0]}:{via[1]}"
            return ZeroMQConsumer(settings_here.model_copy(update={"connect": connect}), "app")

        return make

    @pytest.fixture
    @override
    def make_other_consumer(
        self, settings_here: ZeroMQSettings, required: list[str]
    ) -> MakeConsumer:
        required.append("audit")  # so that nothing passes it either
        return lambda via=None: ZeroMQConsumer(settings_here, "audit")

    @pytest.fixture
    @override
    def subscribe(self, relayed: list[str]) -> Callable[[str], None]:
        return relayed.append

    @pytest.fixture
    def relayed(self) -> list[str]:
        return []

    @pytest.fixture
    def required(self) -> list[str]:
        return ["app"]

    @pytest.fixture
    @override
    def publish(
        self,
        settings_here: ZeroMQSettings,
        context: ProducerContext,
        relayed: list[str],
        required: list[str],
    ) -> Iterator[Callable[[str, Sequence[Notification]], None]]:
        """Give a relay that runs all the while, and carries every exchange of the test."""
        settings = settings_here.model_copy(update={"subscribers": required})
        producer = ZeroMQProducer(settings, context)
        opened: list[str] = []
        due: list[tuple[str, Notification]] = []
        stop = threading.Event()

        def relay() -> None:
            while not stop.is_set():
                for name in relayed[len(opened) :]:
                    producer.open(name, partitions=4)
                    opened.append(name)
                while due:
                    name, notification = due.pop(0)
                    producer.send(name, *notification)
                for name in opened:
                    producer.wait(name, 0.02)

        def publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            due.extend((exchange_name, each) for each in notifications)

        thread = threading.Thread(target=relay)
        thread.start()
        yield publish
        stop.set()
        thread.join()
        for name in opened:
            producer.close(name)
