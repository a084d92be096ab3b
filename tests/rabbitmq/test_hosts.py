"""Several hosts, and several addresses behind one name: each gets its turn."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, ValidationError

from tests.rabbitmq.client import send
from tests.servers.process import free_port
from tidings.plugins import BrokerRefusedError, BrokerUnavailableError, MessageProducer
from tidings.testing import TcpProxy
from tidings_rabbitmq.producer import RabbitMQProducer
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.given import StreamBroker

    Make = Callable[..., MessageProducer]

NAME = "broker.test"


class Backend:
    """What differs between the two."""

    def __init__(self, rabbitmq: StreamBroker, name: str) -> None:
        self.scheme = name
        self.url = rabbitmq.url if name == "amqp" else rabbitmq.stream_url
        self._made: list[Any] = []

    def proxy(self) -> TcpProxy:
        """Return a way to the broker."""
        address = self.settings(self.url).address
        return TcpProxy(address.host, address.port)

    def settings(self, url: str, **values: Any) -> RabbitMQSettings | RabbitMQStreamSettings:
        kind = RabbitMQSettings if self.scheme == "amqp" else RabbitMQStreamSettings
        return kind(url=SecretStr(url), **values)

    def make(self, *hosts: str, login: str = "guest:guest", **values: Any) -> MessageProducer:
        """Make a producer for these hosts."""
        settings = self.settings(f"{self.scheme}://{login}@{','.join(hosts)}/", **values)
        if isinstance(settings, RabbitMQSettings):
            self._made.append(RabbitMQProducer(settings))
        else:
            self._made.append(RabbitMQStreamProducer(settings))
        return self._made[-1]  # type: ignore[no-any-return] # one of the two above

    def close(self, exchange: str) -> None:
        for producer in self._made:
            producer.close(exchange)


@pytest.fixture(params=["amqp", "rabbitmq-stream"])
def backend(
    rabbitmq: StreamBroker, exchange: str, request: pytest.FixtureRequest
) -> Iterator[Backend]:
    backend = Backend(rabbitmq, request.param)
    yield backend
    backend.close(exchange)


def place(proxy: TcpProxy) -> str:
    host, port = proxy.address
    return f"{host}:{port}"


def test_a_host_that_is_dead_and_one_that_is_silent_are_passed_over(
    backend: Backend, exchange: str
) -> None:
    with backend.proxy() as silent, backend.proxy() as well:
        silent.freeze()
        hosts = f"127.0.0.1:{free_port()}", place(silent), place(well)
        producer = backend.make(*hosts, connect_timeout=6)
        begin = time.monotonic()
        producer.open(exchange)
        took = time.monotonic() - begin
        send(producer, exchange, 1)
        producer.flush(exchange)
        producer.close(exchange)

    assert took < 6


def test_when_the_host_in_use_goes_away_the_next_one_takes_its_place(
    backend: Backend, exchange: str
) -> None:
    with backend.proxy() as first, backend.proxy() as second:
        producer = backend.make(place(first), place(second))
        producer.open(exchange)
        send(producer, exchange, 1)
        producer.flush(exchange)
        first.refuse()
        first.cut()
        with pytest.raises(BrokerUnavailableError, match=place(first)):
            producer.wait(exchange, 20)
        producer.close(exchange)
        producer.open(exchange)
        send(producer, exchange, 2)
        producer.flush(exchange)
        accepted = producer.accepted_id(exchange)
        producer.close(exchange)

    assert accepted == 2


def test_each_address_behind_a_name_gets_its_turn(
    backend: Backend, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(backend.proxy())
        _, port = proxy.address
        for ip in ("127.0.0.2", "127.0.0.3"):  # they take connections, and never say a word
            stack.enter_context(socket.create_server((ip, port)))
        look_up = socket.getaddrinfo

        def three(host: str, *arguments: Any, **options: Any) -> list[Any]:
            if host != NAME:
                return look_up(host, *arguments, **options)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (ip, port)) for ip in ("127.0.0.2", "127.0.0.3", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", three)
        producer = backend.make(f"{NAME}:{port}", connect_timeout=6)
        producer.open(exchange)
        send(producer, exchange, 1)
        producer.flush(exchange)
        producer.close(exchange)


def test_where_no_host_will_do_each_is_named_with_its_reason(
    backend: Backend, exchange: str
) -> None:
    dead = f"127.0.0.1:{free_port()}"
    with backend.proxy() as well:
        with pytest.raises(BrokerUnavailableError, match="none of 2 addresses") as unavailable:
            backend.make(dead, "host.invalid").open(exchange)
        with pytest.raises(BrokerRefusedError, match="none of 2 addresses") as refused:
            backend.make(dead, place(well), login="guest:s3cr3t").open(exchange)

    for found in (f"{dead} (", "nothing listens there", "host.invalid:", "cannot be found"):
        assert found in str(unavailable.value)
    assert "refused the login" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_a_name_service_that_does_not_answer_is_not_waited_for(
    backend: Backend, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def slow(host: str, *arguments: Any, **options: Any) -> list[Any]:
        if host == NAME:
            time.sleep(20)  # that is what it does
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with backend.proxy() as well:
        producer = backend.make(NAME, place(well), connect_timeout=4)
        begin = time.monotonic()
        producer.open(exchange)
        took = time.monotonic() - begin
        producer.close(exchange)

    assert took < 4


def test_hosts_share_login_and_virtual_host_and_each_may_have_a_port() -> None:
    settings = RabbitMQSettings(url=SecretStr("amqp://u%40:p@a,b:1234,[::1]/shop"))
    places = [(each.host, each.port) for each in settings.addresses]

    assert places == [("a", 5672), ("b", 1234), ("::1", 5672)]
    assert {(each.user, each.virtual_host) for each in settings.addresses} == {("u@", "shop")}
    for wrong in ("amqp://u:p@a,/shop", "amqp://u:p@a:x,b/shop", "amqp://,/"):
        with pytest.raises(ValidationError, match=r"no host|port"):
            RabbitMQSettings(url=SecretStr(wrong))


def test_the_tail_is_refused_in_a_cluster() -> None:
    with pytest.raises(ValidationError, match="in a cluster"):
        RabbitMQSettings(url=SecretStr("amqp://a,b/"), resume="tail")
