"""A real broker that is killed, frozen, restarted, or out of memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import servers
from tests.rabbitmq.client import Client, send
from tests.rabbitmq.kills import judge, kill_brokers
from tests.rabbitmq.test_takeover import PUBLISHER
from tests.servers import RabbitMQ
from tidings.plugins import (
    BrokerUnavailableError,
    DeliveryError,
    UndeliverableEventError,
)
from tidings.testing.samples import send_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.rabbitmq.conftest import MakeProducer
    from tidings_rabbitmq.producer import RabbitMQProducer

pytestmark = pytest.mark.chaos

LARGEST = 100_000
ENOUGH = 1_000_000


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    """Give a broker that the tests of this file may ill-treat, and leave well again."""
    with servers(RabbitMQ) as start:
        yield start(extra_config=f"max_message_size = {LARGEST}")


def until_it_works(act: Callable[[], object], seconds: float = 60) -> float:
    """Do as the worker does: try until it works; return the seconds that it took."""
    begin = time.monotonic()
    while True:
        try:
            act()
        except DeliveryError:
            if time.monotonic() - begin > seconds:
                raise
            time.sleep(0.05)  # the pause between two attempts
        else:
            return time.monotonic() - begin


def send_the_rest(producer: RabbitMQProducer, exchange: str, after: int, last: int) -> None:
    """Do as the service does: close, open, send what was not accepted, until all of it is."""

    def attempt() -> None:
        producer.close(exchange)
        producer.open(exchange)
        send_all(producer, exchange, range(after + 1, last + 1))
        producer.flush(exchange)

    until_it_works(attempt)


@pytest.mark.timeout(240)
def test_the_tail_does_not_outlive_what_a_killed_broker_has_lost(
    broker: RabbitMQ, exchange: str, tmp_path: Path
) -> None:
    rounds, window = 4, 500
    settings = {"url": broker.url, "window": window, "resume": "tail"}

    kill_brokers(rounds, PUBLISHER, settings, exchange, tmp_path / "position", broker=broker)
    with Client(broker.url) as client:
        ids = client.ids(exchange)
    verdict = judge(ids)

    assert len(ids) > rounds * 100
    assert (verdict.lost, verdict.reordered) == (0, 0)
    # The publisher tracks a batch at a time, on top of what is in flight.
    assert verdict.duplicated <= rounds * (window + 100)


def first_deliveries(broker: RabbitMQ, exchange: str) -> list[int]:
    with Client(broker.url) as client:
        return list(dict.fromkeys(client.ids(exchange)))


def test_a_memory_alarm_does_not_hang_us_and_ends_with_the_alarm(
    broker: RabbitMQ, make_producer: MakeProducer, exchange: str
) -> None:
    # No heartbeat: nobody steps the producer while rabbitmqctl runs, however long that takes.
    producer = make_producer(url=broker.url, no_progress_timeout=1, heartbeat=0)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 11))
    producer.flush(exchange)
    broker.ctl("set_vm_memory_high_watermark", "0.0001")
    try:
        begin = time.monotonic()
        with pytest.raises(BrokerUnavailableError, match="memory or disk alarm") as raised:
            send_all(producer, exchange, range(11, ENOUGH + 1))
        waited = time.monotonic() - begin
        accepted = producer.accepted_id(exchange) or 0
    finally:
        broker.ctl("set_vm_memory_high_watermark", "0.4")
    last = accepted + 10
    send_the_rest(producer, exchange, accepted, last)

    assert waited < 10
    assert exchange in str(raised.value)
    assert first_deliveries(broker, exchange)[:last] == list(range(1, last + 1))


def test_an_idle_connection_that_the_broker_blocks_is_given_up(
    broker: RabbitMQ, make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(url=broker.url, blocked_connection_timeout=1, heartbeat=0)
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    broker.ctl("set_vm_memory_high_watermark", "0.0001")
    try:
        send(producer, exchange, 2)
        with pytest.raises(BrokerUnavailableError, match="memory or disk alarm"):
            producer.wait(exchange, 20)
    finally:
        broker.ctl("set_vm_memory_high_watermark", "0.4")


def test_a_message_that_the_broker_finds_too_large_is_named_until_its_limit_is_raised(
    broker: RabbitMQ, make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(url=broker.url)
    producer.open(exchange)
    send(producer, exchange, 1)
    send(producer, exchange, 2, b"x" * LARGEST)
    send(producer, exchange, 3, b"x" * (LARGEST + 1))

    with pytest.raises(UndeliverableEventError, match="max_message_size") as raised:
        producer.flush(exchange)
    producer.close(exchange)
    config = broker.extra_config
    broker.extra_config = f"max_message_size = {2 * LARGEST}"
    broker.restart()
    try:
        until_it_works(lambda: producer.open(exchange))
        send(producer, exchange, 3, b"x" * (LARGEST + 1))
        producer.flush(exchange)
    finally:
        broker.extra_config = config
        broker.restart()

    assert raised.value.event_id == 3
    assert f"its body has {LARGEST + 1} bytes" in str(raised.value)
    assert first_deliveries(broker, exchange) == [1, 2, 3]


def test_a_frozen_broker_is_noticed_while_sending(
    broker: RabbitMQ, make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(url=broker.url, no_progress_timeout=1)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 11))
    producer.flush(exchange)
    broker.freeze()
    try:
        begin = time.monotonic()
        with pytest.raises(BrokerUnavailableError, match="did not answer within 1 s"):
            send_all(producer, exchange, range(11, ENOUGH + 1))
        accepted = producer.accepted_id(exchange) or 0
        producer.close(exchange)
        waited = time.monotonic() - begin
    finally:
        broker.thaw()
    last = accepted + 10
    send_the_rest(producer, exchange, accepted, last)

    assert waited < 10
    assert first_deliveries(broker, exchange)[:last] == list(range(1, last + 1))


def test_a_frozen_broker_is_noticed_by_an_idle_relay(
    broker: RabbitMQ, make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(url=broker.url, heartbeat=1)
    producer.open(exchange)
    broker.freeze()
    try:
        with pytest.raises(BrokerUnavailableError, match="did not answer in time"):
            producer.wait(exchange, 25)
    finally:
        broker.thaw()


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_a_broker_that_goes_down_and_comes_back_loses_and_reorders_nothing(
    broker: RabbitMQ, make_producer: MakeProducer, exchange: str, fault: str
) -> None:
    producer = make_producer(url=broker.url)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 5001))  # more than is in flight, or waits for room
    if fault == "kill":
        broker.kill()
    else:
        broker.ctl("stop_app")
    try:
        with pytest.raises(BrokerUnavailableError) as raised:
            send_all(producer, exchange, range(5001, ENOUGH + 1))
        accepted = producer.accepted_id(exchange) or 0
        producer.close(exchange)
        with pytest.raises(BrokerUnavailableError):
            producer.open(exchange)
    finally:
        if fault == "kill":
            broker.start()
        else:
            broker.ctl("start_app")
    send_the_rest(producer, exchange, accepted, 7000)
    ids = first_deliveries(broker, exchange)

    assert exchange in str(raised.value)
    assert accepted >= 1000
    assert [each for each in ids if each <= 7000] == list(range(1, 7001))
