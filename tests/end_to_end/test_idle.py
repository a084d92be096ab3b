"""A minute in which nothing happens, on every backend at once, with the settings as they come."""

from __future__ import annotations

import dataclasses
import threading
import time
import uuid
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import Told
from tests.servers import free_port
from tidings import NewEvent, Tidings
from tidings.relay.observers import Observers
from tidings.relay.worker import Worker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.given import Broker, StreamBroker

WORDS = ("rabbitmq", "rabbitmq-stream", "activemq", "zeromq")

# Longer than any heartbeat, lease, or patience with silence that is set to anything by default.
IDLE = 65.0

CONFIGURATION = """
[event_store]
url = "sqlite:///{folder}/events.db"
[producers.rabbitmq]
url = "{rabbitmq}"
[producers.rabbitmq-stream]
url = "{stream}"
[producers.activemq]
url = "{activemq}"
[producers.zeromq]
bind = "tcp://127.0.0.1:{port}"
"""


@pytest.fixture
def tidings(tmp_path: Path, rabbitmq: StreamBroker, activemq: Broker) -> Iterator[Tidings]:
    text = CONFIGURATION.format(
        folder=tmp_path,
        rabbitmq=rabbitmq.url,
        stream=rabbitmq.stream_url,
        activemq=activemq.url,
        port=free_port(),
    )
    for word in WORDS:
        text += f'[exchanges.idle-{word}-{uuid.uuid4().hex[:8]}]\nproducer = "{word}"\n'
    file = tmp_path / "tidings.toml"
    file.write_text(text)
    with Tidings.from_file(file, environ={}) as made:
        with closing(made.event_store()) as store:
            store.create()
        yield made


@contextmanager
def relaying(tidings: Tidings) -> Iterator[Told]:
    """Let a worker carry every exchange in a thread; tell what it met."""
    told = Told()
    routes = [
        dataclasses.replace(tidings.route(name), observers=Observers([told]))
        for name in tidings.configuration.exchanges
    ]
    worker = Worker(routes)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield told
    finally:
        worker.shut_down()
        thread.join()


class Reader(threading.Thread):
    """Reads one exchange with one connection, and notes what ends that."""

    def __init__(self, tidings: Tidings, exchange: str, over: threading.Event) -> None:
        super().__init__()
        self.read: list[str] = []
        self.error: Exception | None = None
        self._consumer = tidings.consumer(exchange)
        self._exchange = exchange
        self._over = over

    @override
    def run(self) -> None:
        try:
            self._consumer.open(self._exchange)
            while not self._over.is_set():
                message = self._consumer.receive(1)
                if message is not None:
                    self._consumer.acknowledge(message)
                    self.read.append(message.message_id)
        except Exception as error:  # noqa: BLE001 - the test's thread judges it
            self.error = error
        finally:
            self._consumer.close()


@pytest.mark.idle
def test_an_idle_minute_costs_no_relay_and_no_reader_its_connection(tidings: Tidings) -> None:
    over = threading.Event()
    readers = {name: Reader(tidings, name, over) for name in tidings.configuration.exchanges}

    def append_one() -> None:
        with closing(tidings.event_store()) as store, store.transaction() as transaction:
            store.append(transaction, NewEvent("OrderPlaced", {}))

    def all_have_read(count: int) -> bool:
        return all(len(each.read) >= count or each.error for each in readers.values())

    with relaying(tidings) as told, ExitStack() as stack:
        for reader in readers.values():
            reader.start()
            stack.callback(reader.join)
        stack.callback(over.set)
        append_one()
        eventually(lambda: all_have_read(1), seconds=60)
        told.calls.clear()  # RabbitMQ 4 may hang up once while the stream is being made
        begun = time.monotonic()
        eventually(lambda: time.monotonic() - begun > IDLE, seconds=IDLE + 10)
        append_one()
        eventually(lambda: all_have_read(2), seconds=60)

    assert {name: each.error for name, each in readers.items()} == dict.fromkeys(readers)
    assert {name: len(each.read) for name, each in readers.items()} == dict.fromkeys(readers, 2)
    assert told.of("failed") == told.of("standing_by") == []
