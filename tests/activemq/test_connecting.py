"""Several hosts, several addresses behind one name, silence that is none, and forks."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.activemq.conftest import via
from tests.activemq.sending import send
from tests.servers import free_port
from tidings.plugins import BrokerRefusedError, BrokerUnavailableError
from tidings_activemq import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.activemq.client import Client
    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tests.servers.given import Broker
    from tidings.testing.proxy import TcpProxy
    from tidings_activemq.producer import ActiveMQProducer


def place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


@contextmanager
def silent_servers(number: int) -> Iterator[list[str]]:
    """Give places where connections are taken and nothing is ever said."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)
        ]
        yield [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]


def test_the_hosts_of_a_url_are_tried_in_turn(
    activemq: Broker, make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    good = place(activemq.url)
    others = f"127.0.0.1:{free_port()},no-such-host.invalid:61613"
    for each in (make_producer, make_consumer):
        each(url=activemq.url.replace(good, f"{others},{good}")).open(exchange)


def test_two_silent_hosts_leave_time_for_the_third(
    activemq: Broker, make_producer: MakeProducer, exchange: str
) -> None:
    good = place(activemq.url)
    with silent_servers(2) as silent:
        url = activemq.url.replace(good, ",".join([*silent, good]))
        producer = make_producer(url=url, connect_timeout=3)
        producer.open(exchange)
        send(producer, exchange, 1)
        producer.flush(exchange)


def test_two_silent_addresses_behind_a_name_leave_time_for_the_third(
    activemq: Broker,
    make_producer: MakeProducer,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up: Callable[..., list[Any]] = socket.getaddrinfo
    with silent_servers(2) as silent:
        places = [*silent, place(activemq.url)]

        def three(host: str, port: int, **options: Any) -> list[Any]:
            if host != "three.invalid":
                return look_up(host, port, **options)
            return [
                found
                for place in places
                for found in look_up(*place.rsplit(":", 1), type=socket.SOCK_STREAM)
            ]

        monkeypatch.setattr(socket, "getaddrinfo", three)
        producer = make_producer(url=via(activemq.url, "three.invalid", 61613), connect_timeout=3)
        producer.open(exchange)
        send(producer, exchange, 1)
        producer.flush(exchange)


def test_each_address_that_will_not_do_is_named_with_its_reason(
    make_producer: MakeProducer, exchange: str
) -> None:
    with silent_servers(1) as silent:
        refusing = f"127.0.0.1:{free_port()}"
        url = f"stomp://u:s3cret@{refusing},{silent[0]},no-such-host.invalid:1"
        with pytest.raises(BrokerUnavailableError, match="none of 3 addresses") as raised:
            make_producer(url=url, connect_timeout=0.5).open(exchange)

    shown = str(raised.value)
    assert "s3cret" not in shown
    for each, reason in (
        (refusing, "cannot connect"),
        (silent[0], "did not answer"),
        ("no-such-host.invalid:1", "not known"),
    ):
        assert each in shown
        assert reason in shown


def test_a_refused_login_is_a_refusal_though_another_host_is_away(
    activemq: Broker, make_producer: MakeProducer, exchange: str
) -> None:
    good = place(activemq.url)
    url = activemq.url.replace(":secret@", ":s3cret@")
    url = url.replace(good, f"{good},127.0.0.1:{free_port()}")
    with pytest.raises(BrokerRefusedError, match="password is invalid"):
        make_producer(url=url).open(exchange)


def test_a_message_that_comes_slowly_is_not_silence(
    client: Client,
    proxy: TcpProxy,
    proxied: str,
    make_consumer: MakeConsumer,
    exchange: str,
) -> None:
    consumer = make_consumer(url=proxied, heartbeat=1.5)
    consumer.open(exchange)
    proxy.delay(0.1)  # so that the message takes longer than two heartbeats
    headers = {"destination": f"/topic/VirtualTopic.{exchange}", "content-length": "2000000"}
    client.request("SEND", headers, b"x" * 2_000_000)
    message = consumer.receive(30)

    assert message
    assert len(message.body) == 2_000_000


def test_a_reader_that_pauses_for_long_keeps_its_connection(
    producer: ActiveMQProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    consumer = make_consumer(heartbeat=1)
    consumer.open(exchange)
    time.sleep(5)  # as who prints into a pipe that nobody reads
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    message = consumer.receive(30)

    assert message
    consumer.acknowledge(message)


@pytest.mark.parametrize("ending", ["exit", "close"])
def test_a_fork_of_the_process_ends_and_harms_nothing(
    make_producer: MakeProducer,
    make_consumer: MakeConsumer,
    exchange: str,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "GOODBYE", 30.0)
    producer, consumer = make_producer(), make_consumer()
    producer.open(exchange)
    consumer.open(exchange)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        if ending == "close":
            producer.close(exchange)
            consumer.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    taken = time.monotonic() - begun
    send(producer, exchange, 1)
    producer.flush(exchange)
    message = consumer.receive(30)

    assert status == 0
    assert taken < 20, "it waited for the broker's goodbye, which is the other process's"
    assert message
    assert message.message_id == "1"


def test_a_fork_is_told_whose_connection_it_is(make_consumer: MakeConsumer, exchange: str) -> None:
    consumer = make_consumer()
    consumer.open(exchange)
    child = os.fork()
    if child == 0:
        try:
            consumer.receive(1)
        except RuntimeError as error:
            os._exit(7 if exchange in str(error) and "another process" in str(error) else 1)
        os._exit(2)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
