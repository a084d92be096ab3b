"""Producers that are closed when the test ends, and that leave nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.servers.process import free_port
from tests.zeromq.events import EXCHANGE, Store, event
from tidings.plugins import Position
from tidings.testing import eventually
from tidings_zeromq.producer import ZeroMQProducer
from tidings_zeromq.settings import ZeroMQSettings


class Relay:
    """A producer with one open exchange."""

    def __init__(self, settings: ZeroMQSettings, store: Store, exchange_name: str) -> None:
        self.settings = settings
        self.store = store
        self.exchange_name = exchange_name
        self.producer = ZeroMQProducer(settings, store.context)
        self.opened: Any = None

    @property
    def address(self) -> str:
        return self.settings.connect_address

    def open(self, position: int = 0, identity: str = "") -> None:
        self.opened = self.producer.open(self.exchange_name, Position(position, store=identity))

    def send(self, *ids: int) -> None:
        for event_id in ids:
            self.producer.send(self.exchange_name, *event(event_id))

    def flush(self, timeout: float | None = None) -> None:
        self.producer.flush(self.exchange_name, timeout)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Serve the subscribers until `condition()` is true."""

        def served() -> bool:
            self.producer.wait(self.exchange_name, 0.02)
            return condition()

        eventually(served, what, seconds)

    @property
    def accepted_id(self) -> int | None:
        return self.producer.accepted_id(self.exchange_name)

    def close(self) -> None:
        self.producer.close(self.exchange_name)


MakeRelay = Callable[..., Relay]


@pytest.fixture
def address() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def make_relay(address: str) -> Iterator[MakeRelay]:
    """Make relays, at one address unless told otherwise."""
    relays: list[Relay] = []

    def make(
        store: Store | None = None, *, exchange_name: str = EXCHANGE, **settings: Any
    ) -> Relay:
        settings.setdefault("bind", address)
        relay = Relay(ZeroMQSettings(**settings), store or Store(), exchange_name)
        relays.append(relay)
        return relay

    yield make
    for relay in relays:
        relay.close()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test after which threads, sockets or open files are left."""
    if request.node.get_closest_marker("chaos"):  # its sockets are in other processes
        yield
        return
    process = psutil.Process()
    threads, files = process.num_threads(), process.num_fds()
    python_threads = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - python_threads
    assert not {each for each in left if each.is_alive() and not each.daemon}
    eventually(lambda: process.num_fds() <= files, f"open files to go back to {files}", 60)
    eventually(lambda: process.num_threads() <= threads, f"threads to go back to {threads}", 60)
