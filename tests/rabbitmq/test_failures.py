"""A broker that can't be had, or says no: the right error, in a sentence, without a secret."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from pika import exceptions
from pydantic import SecretStr

from tests.rabbitmq.client import Client, send
from tests.servers.process import free_port
from tidings.plugins import BrokerRefusedError, BrokerUnavailableError, DeliveryError
from tidings_rabbitmq.failures import explain
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings.testing.proxy import TcpProxy

SECRET = "s3cr3t-p@ss"
ENCODED = "s3cr3t-p%40ss"


def opening_fails(
    make_producer: MakeProducer, kind: type[DeliveryError], url: str, **settings: object
) -> str:
    """Open an exchange that can't be opened; return what the error says."""
    with pytest.raises(kind) as raised:
        make_producer(url=url, **settings).open("orders")
    text = str(raised.value)
    assert text.startswith("Exchange 'orders': ")
    assert text.endswith(".")
    return text


def port_of(rabbitmq: StreamBroker) -> int:
    return RabbitMQSettings(url=SecretStr(rabbitmq.url)).address.port


def test_a_wrong_password_is_refused(make_producer: MakeProducer, rabbitmq: StreamBroker) -> None:
    port = port_of(rabbitmq)
    text = opening_fails(
        make_producer, BrokerRefusedError, f"amqp://guest:{ENCODED}@127.0.0.1:{port}/"
    )

    assert f"127.0.0.1:{port} (virtual host '/', user 'guest') refused the login" in text
    assert "Check user and password" in text


def test_an_unknown_virtual_host_is_refused(
    make_producer: MakeProducer, rabbitmq: StreamBroker
) -> None:
    text = opening_fails(make_producer, BrokerRefusedError, f"{rabbitmq.url}nowhere")

    assert "refused the virtual host" in text
    assert "'nowhere'" in text


def test_an_unknown_host_cannot_be_found(make_producer: MakeProducer) -> None:
    text = opening_fails(make_producer, BrokerUnavailableError, "amqp://broker.invalid/")

    assert "broker.invalid:5672" in text
    assert "cannot be found" in text


def test_a_port_that_nobody_listens_on_is_unavailable(make_producer: MakeProducer) -> None:
    port = free_port()
    text = opening_fails(make_producer, BrokerUnavailableError, f"amqp://127.0.0.1:{port}/")

    assert f"127.0.0.1:{port}" in text
    assert "nothing listens there" in text


def test_a_broker_that_takes_connections_and_says_nothing_is_unavailable(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str
) -> None:
    proxy.freeze()
    begin = time.monotonic()
    text = opening_fails(make_producer, BrokerUnavailableError, proxied, connect_timeout=0.5)

    assert "did not answer" in text
    assert time.monotonic() - begin < 6


@pytest.mark.parametrize("bytes_before", [0, 1])
def test_a_broker_that_hangs_up_is_unavailable(
    make_producer: MakeProducer, bytes_before: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(8)
            connection.sendall(b"\1" * bytes_before)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(DeliveryError, match="did not answer in AMQP 0-9-1"):
            make_producer(url=f"amqp://127.0.0.1:{port}/").open("orders")
        thread.join()


def test_an_exchange_of_another_type_is_refused(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    client.channel.exchange_declare(exchange, "topic", durable=True)

    with pytest.raises(BrokerRefusedError) as raised:
        make_producer().open(exchange)

    assert str(raised.value).endswith(
        "has an exchange of that name and of the type 'topic'; exchange_type says 'fanout'. Set "
        "exchange_type = 'topic', or delete the exchange and bind its queues anew: RabbitMQ cannot "
        "change a type."
    )


def test_a_queue_with_other_arguments_is_refused(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    client.channel.queue_declare(exchange, durable=True, arguments={"x-max-length": 3})

    with pytest.raises(BrokerRefusedError, match="inequivalent arg 'x-max-length'") as raised:
        make_producer().open(exchange)

    assert "queue_arguments" in str(raised.value)


@pytest.mark.parametrize(
    ("permissions", "denied"),
    [
        ({"configure": "^$", "write": ".*", "read": ".*"}, "access to exchange"),
        ({"configure": ".*", "write": "^$", "read": ".*"}, "access to"),
        ({"configure": ".*", "write": ".*", "read": "^$"}, "access to"),
    ],
    ids=["configure", "write", "read"],
)
def test_a_missing_permission_is_refused(
    make_producer: MakeProducer,
    rabbitmq: StreamBroker,
    exchange: str,
    permissions: dict[str, str],
    denied: str,
) -> None:
    url = rabbitmq.add_user(exchange, "pw-of-a-user", **permissions)

    with pytest.raises(BrokerRefusedError, match=denied) as raised:
        make_producer(url=url).open(exchange)

    assert f"user '{exchange}'" in str(raised.value)
    assert "set_permissions" in str(raised.value)
    assert "pw-of-a-user" not in str(raised.value)


def test_a_permission_taken_away_while_publishing_is_refused(
    make_producer: MakeProducer, rabbitmq: StreamBroker, exchange: str
) -> None:
    url = rabbitmq.add_user(exchange, "pw", configure=".*", write=".*", read=".*")
    # While rabbitmqctl runs nobody answers a heartbeat, and it may run for long on a busy machine.
    producer = make_producer(url=url, heartbeat=0)
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    rabbitmq.ctl("set_permissions", exchange, ".*", "^$", ".*")

    def send_later() -> None:
        producer.wait(exchange, 2.5)  # a channel forgets what it was permitted when it sleeps
        send(producer, exchange, 2)
        producer.flush(exchange)

    # Of the queue, if the look after it, every ten seconds, comes first.
    with pytest.raises(BrokerRefusedError, match=r"access to (exchange|queue)"):
        send_later()

    assert producer.accepted_id(exchange) == 1


@pytest.mark.parametrize("limit", ["max-connections", "max-queues"])
def test_a_limit_of_the_virtual_host_is_told_as_what_it_is(
    make_producer: MakeProducer, rabbitmq: StreamBroker, exchange: str, limit: str
) -> None:
    url = rabbitmq.add_vhost(exchange, "pw", {limit: 0})

    with pytest.raises(BrokerRefusedError, match="has reached a limit: ") as raised:
        make_producer(url=url).open(exchange)

    assert "set_vhost_limits" in str(raised.value)


def test_one_channel_is_enough_and_no_channel_is_told_as_what_it_is(
    make_producer: MakeProducer, rabbitmq: StreamBroker, exchange: str
) -> None:
    url = rabbitmq.add_vhost(exchange, "pw", {})
    rabbitmq.ctl("set_user_limits", exchange, '{"max-channels": 1}')
    for resume in ("tracker", "tail", "tracker"):
        producer = make_producer(url=url, resume=resume)
        producer.open(exchange)
        send(producer, exchange, 1)
        producer.flush(exchange)
        producer.close(exchange)
    rabbitmq.ctl("set_user_limits", exchange, '{"max-channels": 0}')

    with pytest.raises(BrokerRefusedError, match=r"has reached a limit: .*channel"):
        make_producer(url=url).open(exchange)


def test_what_a_broker_says_of_a_dead_node_or_a_deprecated_feature_is_passed_on() -> None:
    address = RabbitMQSettings(url=SecretStr("amqp://broker/")).address
    node = "NOT_FOUND - home node 'rabbit@b' of durable queue 'q' in vhost '/' is down"
    feature = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated."
    down = explain(exceptions.ChannelClosedByBroker(404, node), address, "orders")
    denied = explain(exceptions.ConnectionClosedByBroker(541, feature), address, "orders")

    assert isinstance(down, BrokerUnavailableError)
    assert "Start that node" in str(down)
    assert isinstance(denied, BrokerRefusedError)
    assert "deprecated_features.permit" in str(denied)


def test_a_queue_that_crashed_is_not_told_as_one_that_somebody_deleted() -> None:
    address = RabbitMQSettings(url=SecretStr("amqp://broker/")).address
    said = "NOT_FOUND - queue 'q' in vhost '/' has crashed and failed to restart"
    error = explain(exceptions.ChannelClosedByBroker(404, said), address, "orders")

    assert isinstance(error, BrokerUnavailableError)
    assert "a full disk, perhaps" in str(error)
    assert "deleted" not in str(error)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms.",
            "Lower prefetch",
        ),
        ("unknown delivery tag 1", "acknowledged twice, perhaps"),
    ],
)
def test_who_acknowledges_late_or_twice_is_not_told_to_delete_the_queue(
    said: str, advice: str
) -> None:
    address = RabbitMQSettings(url=SecretStr("amqp://broker/")).address
    closed = exceptions.ChannelClosedByBroker(406, f"PRECONDITION_FAILED - {said}")
    error = explain(closed, address, "orders")

    assert isinstance(error, BrokerUnavailableError)
    assert advice in str(error)
    assert "comes again when the exchange is opened again" in str(error)
    assert "delete" not in str(error)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("case", ["login", "host", "port", "vhost", "frozen"])
def test_no_error_repr_or_log_shows_the_password(
    make_producer: MakeProducer,
    rabbitmq: StreamBroker,
    proxy: TcpProxy,
    logged: pytest.LogCaptureFixture,
    case: str,
) -> None:
    port = port_of(rabbitmq)
    if case == "frozen":
        proxy.freeze()
    url = {
        "login": f"amqp://guest:{ENCODED}@127.0.0.1:{port}/",
        "host": f"amqp://guest:{ENCODED}@broker.invalid/",
        "port": f"amqp://guest:{ENCODED}@127.0.0.1:{free_port()}/",
        "vhost": f"amqp://guest:{ENCODED}@127.0.0.1:{port}/nowhere",
        "frozen": f"amqp://guest:{ENCODED}@127.0.0.1:{proxy.address[1]}/",
    }[case]
    producer = make_producer(url=url, connect_timeout=0.5 if case == "frozen" else 10)
    with pytest.raises(DeliveryError) as raised:
        producer.open("orders")

    everything = logged.text + repr(producer.__dict__)
    error: BaseException | None = raised.value
    while error is not None:
        everything += str(error) + repr(error)
        error = error.__cause__ or error.__context__
    assert case == "host" or "pika" in logged.text  # pika is given known hosts alone
    assert SECRET not in everything
    assert ENCODED not in everything


def test_what_an_open_producer_logs_shows_no_password(
    make_producer: MakeProducer,
    rabbitmq: StreamBroker,
    logged: pytest.LogCaptureFixture,
    exchange: str,
) -> None:
    url = rabbitmq.add_user(exchange, "s3cr3t", configure=".*", write=".*", read=".*")
    producer = make_producer(url=url)
    opened = producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    shown = logged.text + repr(vars(producer)) + repr(vars(opened))

    assert "pika" in logged.text
    assert "s3cr3t" not in shown
