"""The suites that every backend passes.

There is no broker: what holds a message safely is the required subscriber, so it is what the
suites read back, and the proxy stands between it and the relay.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import free_port
from tests.zeromq.events import event
from tests.zeromq.readers import Reader
from tidings.plugins import Capability
from tidings.testing import MessageConsumerContract, MessageProducerContract
from tidings_zeromq.consumer import ZeroMQMessageConsumer
from tidings_zeromq.producer import ZeroMQMessageProducer
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
        deadline = time.monotonic() + 10
        while len(reader.messages) < begin + count and time.monotonic() < deadline:
            time.sleep(0.01)  # the pace of looking
        messages = reader.messages[begin : begin + count]
        self._read[exchange_name] = begin + len(messages)
        return messages

    def end(self) -> None:
        for reader in self._readers.values():
            reader.__exit__()


class TestProducer(MessageProducerContract):
    capabilities = frozenset({Capability.LOCK})
    plugin_module, backend = "tidings_zeromq.plugin", "zeromq"
    has_undeliverable = True
    no_progress_seconds = 1.0

    @pytest.fixture
    def server_address(self) -> Address:
        return ("127.0.0.1", free_port())

    @pytest.fixture
    def subscriber(self, server_address: Address) -> Iterator[RequiredSubscriber]:
        subscriber = RequiredSubscriber(server_address)
        yield subscriber
        subscriber.end()

    @pytest.fixture
    def new_exchange(self, subscriber: RequiredSubscriber) -> Callable[[], str]:
        def new() -> str:
            name = f"contract-{uuid.uuid4().hex[:12]}"
            subscriber.add(name)
            return name

        return new

    @pytest.fixture
    def make_producer(
        self, server_address: Address, subscriber: RequiredSubscriber, context: ProducerContext
    ) -> MakeProducer:
        host, port = server_address
        settings = ZeroMQSettings(
            bind=f"tcp://{host}:{port}",
            no_progress_timeout=self.no_progress_seconds,
            heartbeat=0.3,
        )

        def make(via: Address | None = None) -> ZeroMQMessageProducer:
            subscriber.address = via or subscriber.address
            subscriber.start()
            return ZeroMQMessageProducer(settings, context)

        return make

    @pytest.fixture
    def read_back(
        self, subscriber: RequiredSubscriber
    ) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        return subscriber.read

    @pytest.fixture
    def undeliverable(self) -> Notification:

        return event(50)._replace(type_name="\ud800")


class TestConsumer(MessageConsumerContract):
    plugin_module, backend = "tidings_zeromq.plugin", "zeromq"

    @pytest.fixture
    def server_address(self) -> Address:
        return ("127.0.0.1", free_port())

    @pytest.fixture
    def settings_here(self, server_address: Address) -> ZeroMQSettings:
        host, port = server_address
        return ZeroMQSettings(bind=f"tcp://{host}:{port}", heartbeat=0.3)

    @pytest.fixture
    def make_consumer(self, settings_here: ZeroMQSettings) -> MakeConsumer:
        def make(via: Address | None = None) -> ZeroMQMessageConsumer:
            connect = None if via is None else f"tcp://{via[0]}:{via[1]}"
            return ZeroMQMessageConsumer(
                settings_here.model_copy(update={"connect": connect}), "app"
            )

        return make

    @pytest.fixture
    def publish(
        self, settings_here: ZeroMQSettings, context: ProducerContext, exchange_name: str
    ) -> Iterator[Callable[[str, Sequence[Notification]], None]]:
        """Give a relay that runs all the while."""
        producer = ZeroMQMessageProducer(settings_here, context)
        producer.open(exchange_name)
        due: list[Notification] = []
        stop = threading.Event()

        def relay() -> None:
            while not stop.is_set():
                while due:
                    producer.send(exchange_name, *due.pop(0))
                producer.wait(exchange_name, 0.02)

        def publish(_exchange_name: str, notifications: Sequence[Notification]) -> None:
            due.extend(notifications)

        thread = threading.Thread(target=relay)
        thread.start()
        yield publish
        stop.set()
        thread.join()
        producer.close(exchange_name)
