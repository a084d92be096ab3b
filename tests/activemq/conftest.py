"""What the tests of this folder share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from typing_extensions import override

from tests.activemq.client import Client
from tests.conftest import Factory, servers
from tests.producers import closing
from tests.servers import ActiveMQ
from tidings.testing.proxy import TcpProxy
from tidings_activemq.consumer import ActiveMQConsumer
from tidings_activemq.producer import ActiveMQProducer
from tidings_activemq.settings import ActiveMQSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.given import Broker

MakeProducer = Callable[..., ActiveMQProducer]
MakeConsumer = Callable[..., ActiveMQConsumer]


class ConfiguredActiveMQ(ActiveMQ):
    """An ActiveMQ in whose configuration some words are replaced by others."""

    def __init__(
        self, directory: Path, *, replacing: dict[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(directory, **options)
        self._replacing = replacing or {}

    @override
    def _configuration(self) -> str:
        text = super()._configuration()
        for old, new in self._replacing.items():
            assert old in text
            text = text.replace(old, new)
        return text


@pytest.fixture
def configured_activemq() -> Iterator[Factory[ConfiguredActiveMQ]]:
    """Give a function that starts an ActiveMQ for this test alone, configured otherwise."""
    with servers(ConfiguredActiveMQ) as start:
        yield start


@pytest.fixture
def exchange() -> str:
    return f"orders-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def client(activemq: Broker) -> Iterator[Client]:
    """Give another program's view of the session's broker."""
    with Client(activemq.url) as client:
        yield client


@pytest.fixture
def make_producer(activemq: Broker) -> Iterator[MakeProducer]:
    """Give a function that makes producers (of the session's broker) that the test closes."""

    def make(**settings: Any) -> ActiveMQProducer:
        return ActiveMQProducer(ActiveMQSettings(**{"url": activemq.url} | settings))

    yield from closing(make)


@pytest.fixture
def make_consumer(activemq: Broker) -> Iterator[MakeConsumer]:
    """Give a function that makes consumers (of the session's broker) that the test closes."""
    made: list[ActiveMQConsumer] = []

    def make(subscriber: str | None = None, **settings: Any) -> ActiveMQConsumer:
        settings = {"url": activemq.url} | settings
        consumer = ActiveMQConsumer(ActiveMQSettings(**settings), subscriber)
        made.append(consumer)
        return consumer

    yield make
    for consumer in made:
        consumer.close()


@pytest.fixture
def producer(make_producer: MakeProducer) -> ActiveMQProducer:
    return make_producer()


@pytest.fixture
def proxy(activemq: Broker) -> Iterator[TcpProxy]:
    """Give a way to the session's broker that can be cut and frozen."""
    parts = urlsplit(activemq.url)
    with TcpProxy(parts.hostname or "", parts.port or 61613) as proxy:
        yield proxy


@pytest.fixture
def proxied(activemq: Broker, proxy: TcpProxy) -> str:
    """Give the URL of that way."""
    return via(activemq.url, *proxy.address)


def via(url: str, host: str, port: int) -> str:
    """Return the URL with another host and port."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{host}:{port}").geturl()
