"""What the tests of this folder share: names of their own, and an independent client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from tests.producers import closing
from tests.rabbitmq.client import Client
from tidings.testing.proxy import TcpProxy
from tidings_rabbitmq.producer import RabbitMQProducer
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from tests.servers.given import StreamBroker

MakeProducer = Callable[..., RabbitMQProducer]


@pytest.fixture
def exchange() -> str:
    return f"orders-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def client(rabbitmq: StreamBroker) -> Iterator[Client]:
    """Give another program's view of the session's broker."""
    with Client(rabbitmq.url) as client:
        yield client


@pytest.fixture
def make_producer(rabbitmq: StreamBroker) -> Iterator[MakeProducer]:
    """Give a function that makes producers (of the session's broker) that the test closes."""

    def make(**settings: Any) -> RabbitMQProducer:
        return RabbitMQProducer(RabbitMQSettings(**{"url": rabbitmq.url} | settings))

    yield from closing(make)


@pytest.fixture
def proxy(rabbitmq: StreamBroker) -> Iterator[TcpProxy]:
    """Give a way to the session's broker that can be cut and frozen."""
    address = RabbitMQSettings(url=SecretStr(rabbitmq.url)).address
    with TcpProxy(address.host, address.port) as proxy:
        yield proxy


@pytest.fixture
def proxied(rabbitmq: StreamBroker, proxy: TcpProxy) -> str:
    """Give the URL of that way."""
    host, port = proxy.address
    return make_url(rabbitmq.url).set(host=host, port=port).render_as_string(hide_password=False)


@pytest.fixture
def producer(make_producer: MakeProducer) -> RabbitMQProducer:
    return make_producer()
