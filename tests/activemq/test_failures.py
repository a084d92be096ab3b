"""What goes wrong on the way, as the right error, with a sentence, without a secret."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tests.activemq.client import Client, ids, queue_of
from tests.activemq.conftest import via
from tests.activemq.sending import send
from tests.remembered import newest_id
from tests.servers import free_port
from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    UndeliverableEventError,
)
from tidings.testing import eventually
from tidings.testing.samples import send_all
from tidings_activemq.failures import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tests.servers import ActiveMQ, Certificates
    from tests.servers.given import Broker
    from tidings.testing.proxy import TcpProxy
    from tidings_activemq.producer import ActiveMQProducer

SECRETS = ("secret", "s3cret")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    ours = ("tidings-activemq", "StompHeartbeat")
    left = [thread for thread in threading.enumerate() if thread.name.startswith(ours)]
    assert left == []


def failure(call: Callable[[], object], kind: type[DeliveryError], match: str) -> DeliveryError:
    """Return the error of a call; see that neither it nor its causes hold a secret."""
    with pytest.raises(kind, match=match) as raised:
        call()
    error: BaseException | None = raised.value
    while error is not None:
        assert not [each for each in SECRETS if each in f"{error} {error!r}"]
        error = error.__cause__ or error.__context__
    return raised.value


def test_a_wrong_login_names_host_port_and_user(
    activemq: Broker, make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    url = activemq.url.replace(":secret@", ":s3cret@")
    for each in (make_producer(url=url), make_consumer(url=url)):
        error = failure(lambda: each.open(exchange), BrokerRefusedError, "password is invalid")  # noqa: B023 - called at once

        assert "stomp://relay@127.0.0.1:" in str(error)
        assert exchange in str(error)
        assert error.exchange_name == exchange


def test_no_login_at_all_is_refused(
    activemq: Broker, make_producer: MakeProducer, exchange: str
) -> None:
    url = activemq.url.replace("relay:secret@", "")
    failure(lambda: make_producer(url=url).open(exchange), BrokerRefusedError, "refuses it")


@pytest.mark.parametrize("token", [True, False])
def test_a_user_who_may_only_read_is_refused(
    configured_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    exchange: str,
    token: bool,
) -> None:
    broker = configured_activemq()
    producer = make_producer(url=broker.reader_url, token=token, subscribers=[])

    def publish() -> None:
        producer.open(exchange)
        send_all(producer, exchange, range(1, 1001))
        producer.flush(exchange)

    error = failure(publish, BrokerRefusedError, "reader is not authorized to")
    assert "see the plugin's README" in str(error)


def test_no_secret_is_logged_at_any_level(
    make_producer: MakeProducer,
    make_consumer: MakeConsumer,
    exchange: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    producer, consumer = make_producer(), make_consumer()
    consumer.open(exchange)
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    assert consumer.receive(5)
    producer.close(exchange)
    consumer.close()

    assert "CONNECTED" in caplog.text
    assert not [each for each in SECRETS if each in caplog.text]


def test_an_unknown_host_is_named(make_producer: MakeProducer, exchange: str) -> None:
    producer = make_producer(url="stomp://u:s3cret@no-such-host.invalid:61613")
    error = failure(lambda: producer.open(exchange), BrokerUnavailableError, "name is not known")
    assert "no-such-host.invalid:61613" in str(error)


def test_a_port_where_nobody_listens_is_named(make_producer: MakeProducer, exchange: str) -> None:
    port = free_port()
    producer = make_producer(url=f"stomp://u:s3cret@127.0.0.1:{port}")
    failure(lambda: producer.open(exchange), BrokerUnavailableError, f":{port}: cannot connect")


def test_a_server_that_says_nothing_is_given_up_after_connect_timeout(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("stomp", "stomp+ssl"):
            settings = {"url": f"{scheme}://u:s3cret@127.0.0.1:{port}", "connect_timeout": 0.5}
            for each in (make_producer(**settings), make_consumer(**settings)):
                begun = time.monotonic()
                failure(
                    lambda: each.open(exchange),  # noqa: B023 - called at once
                    BrokerUnavailableError,
                    "did not answer within connect_timeout",
                )
                assert time.monotonic() - begun < 2


def test_a_server_that_speaks_another_protocol_is_unavailable(
    postgresql: Any, make_producer: MakeProducer, exchange: str
) -> None:
    address = postgresql.url.partition("@")[2].partition("/")[0]
    producer = make_producer(url=f"stomp://u:s3cret@{address}", connect_timeout=2)
    failure(lambda: producer.open(exchange), BrokerUnavailableError, "lost|did not answer")


def test_what_is_sent_leaves_at_once(
    producer: ActiveMQProducer, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[socket.socket] = []

    class Noted(socket.socket):
        @override
        def connect(self, address: Any) -> None:
            super().connect(address)
            connected.append(self)

    monkeypatch.setattr(socket, "socket", Noted)
    producer.open(exchange)

    assert connected
    assert all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in connected)


def test_what_is_not_flushed_is_accepted_soon(producer: ActiveMQProducer, exchange: str) -> None:
    producer.open(exchange)
    send_all(producer, exchange, [1, 2, 3])
    eventually(lambda: producer.accepted_id(exchange) == 3, "acceptance without flush", 60)
    send(producer, exchange, 4)
    producer.wait(exchange, 0.5)

    assert producer.accepted_id(exchange) == 4


def test_a_lost_connection_is_noticed_while_waiting(
    proxy: TcpProxy, proxied: str, make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(url=proxied)
    producer.open(exchange)
    proxy.cut()
    failure(lambda: producer.wait(exchange, 5), BrokerUnavailableError, "connection was lost")
    failure(lambda: send(producer, exchange, 1), BrokerUnavailableError, "open it again")


def test_a_silent_broker_is_noticed_while_waiting(
    proxy: TcpProxy, proxied: str, make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(url=proxied, heartbeat=0.4)
    producer.open(exchange)
    producer.wait(exchange, 1.2)
    proxy.freeze()
    failure(lambda: producer.wait(exchange, 5), BrokerUnavailableError, "silent")


def test_a_consumer_notices_a_lost_connection(
    proxy: TcpProxy, proxied: str, make_consumer: MakeConsumer, exchange: str
) -> None:
    consumer = make_consumer(url=proxied)
    consumer.open(exchange)
    proxy.cut()
    failure(lambda: consumer.receive(5), BrokerUnavailableError, "connection was lost")


def test_no_more_than_the_window_is_in_flight(
    proxy: TcpProxy, proxied: str, make_producer: MakeProducer, exchange: str
) -> None:
    settings = {"batch_size": 10, "window": 25, "no_progress_timeout": 0.5}
    producer = make_producer(url=proxied, **settings)
    producer.open(exchange)
    proxy.freeze()
    send_all(producer, exchange, range(1, 26))

    failure(lambda: send(producer, exchange, 26), BrokerUnavailableError, "accepted nothing")


def test_a_connection_that_takes_no_bytes_is_given_up_after_send_timeout(
    proxy: TcpProxy, proxied: str, make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(url=proxied, send_timeout=0.5, heartbeat=0)
    producer.open(exchange)
    proxy.freeze()

    def fill() -> None:
        send(producer, exchange, 1, b"x" * 50_000_000)
        producer.flush(exchange)

    begun = time.monotonic()
    failure(fill, BrokerUnavailableError, "took no byte for 0.5 s")
    producer.close(exchange)
    assert time.monotonic() - begun < 5


def test_a_broker_at_its_memory_limit_is_given_up_and_nothing_is_lost_or_sent_twice(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    url = configured_activemq(store_limit="32 mb").url
    producer = make_producer(url=url, no_progress_timeout=2, send_timeout=2, batch_size=10)
    producer.open(exchange)

    def fill() -> None:
        for event_id in range(1, 100):
            send(producer, exchange, event_id, b"x" * 500_000)
        producer.flush(exchange)

    error = failure(fill, BrokerUnavailableError, "memory or store limit")
    accepted = producer.accepted_id(exchange)
    producer.close(exchange)

    assert accepted is not None
    assert 0 < accepted < 100
    assert f"{exchange!r}" in str(error)
    with Client(url) as client:
        read = ids(client.browse(queue_of(exchange)))
    assert read == list(range(1, len(read) + 1))
    assert len(read) >= accepted


def test_the_event_that_is_too_large_is_found_and_the_others_arrive(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    broker = configured_activemq(
        replacing={
            '"/></transportConnectors>': '?wireFormat.maxDataLength=20000"/></transportConnectors>'
        }
    )
    producer = make_producer(url=broker.url, batch_size=5)

    def deliver(event_ids: list[int]) -> None:
        producer.open(exchange)
        start = newest_id(producer, exchange) or 0
        try:
            for event_id in event_ids:
                if event_id > start:
                    size = 30_000 if event_id == 8 else 100
                    send(producer, exchange, event_id, b"x" * size)
            producer.flush(exchange)
        finally:
            producer.close(exchange)

    event_ids = list(range(1, 21))
    first = failure(lambda: deliver(event_ids), TooLargeError, "larger than the broker takes")
    second = failure(lambda: deliver(event_ids), UndeliverableEventError, "Event 8 cannot be sent")
    deliver([each for each in event_ids if each != 8])

    assert (first.event_id, second.event_id) == (None, 8)
    with Client(broker.url) as client:
        read = ids(client.read_fast(queue_of(exchange), 19))
    assert read == [each for each in event_ids if each != 8]


def test_tls_with_the_right_authority_works(
    own_activemq: Callable[..., ActiveMQ],
    certificates: Certificates,
    make_producer: MakeProducer,
    make_consumer: MakeConsumer,
    exchange: str,
) -> None:
    broker = own_activemq(tls=certificates)
    settings = {"url": broker.tls_url, "ca_file": certificates.authority}
    producer, consumer = make_producer(**settings), make_consumer(**settings)
    consumer.open(exchange)
    producer.open(exchange)
    send(producer, exchange, 1, b"x" * 3_000_000)
    send_all(producer, exchange, range(2, 3001))
    producer.flush(exchange)
    received = []
    for _ in range(3000):
        message = consumer.receive(30)
        assert message
        consumer.acknowledge(message)
        received.append(int(message.message_id))

    assert received == list(range(1, 3001))
    broker.kill()
    failure(lambda: producer.wait(exchange, 5), BrokerUnavailableError, "connection was lost")
    failure(lambda: consumer.receive(5), BrokerUnavailableError, "connection was lost")


def test_tls_refuses_what_it_cannot_trust_and_says_why(
    own_activemq: Callable[..., ActiveMQ],
    certificates: Certificates,
    make_producer: MakeProducer,
    exchange: str,
) -> None:
    good = own_activemq(tls=certificates)
    expired = own_activemq(tls=certificates.presenting(certificates.expired))
    elsewhere = own_activemq(tls=certificates.presenting(certificates.wrong_host))
    ours, others = certificates.authority, certificates.other_authority
    cases: list[tuple[str, dict[str, Any], str]] = [
        (good.tls_url, {"ca_file": others}, "certificate is not accepted"),
        (good.tls_url, {}, "certificate is not accepted"),
        (expired.tls_url, {"ca_file": ours}, "expired"),
        (elsewhere.tls_url, {"ca_file": ours}, "not valid for 'localhost'|doesn't match"),
        (good.tls_url, {"ca_file": "/no/such/file.pem"}, "cannot be read"),
    ]
    for url, settings, reason in cases:
        producer = make_producer(url=url, **settings)
        failure(lambda: producer.open(exchange), BrokerRefusedError, reason)  # noqa: B023 - called at once
    plain = make_producer(
        url=via(good.tls_url, "localhost", good.port), ca_file=ours, connect_timeout=1
    )
    # The broker answers that it does not understand, or nothing within the second.
    failure(lambda: plain.open(exchange), DeliveryError, "the port speaks? TLS")
