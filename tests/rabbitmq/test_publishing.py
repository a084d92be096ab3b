"""Order, completeness, and what counts as accepted."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.rabbitmq.client import Client, notification, send
from tests.rabbitmq.idle import stay_idle
from tidings.plugins import BrokerUnavailableError, ExchangeLockedError, NotAcceptedError, Position
from tidings.testing.samples import send_all
from tidings_rabbitmq.silence import LONGEST

if TYPE_CHECKING:
    from tests.rabbitmq.conftest import MakeProducer
    from tidings.testing.proxy import TcpProxy
    from tidings_rabbitmq.producer import RabbitMQProducer


def test_ten_thousand_arrive_once_each_and_in_order(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 10_001))
    producer.flush(exchange)

    assert producer.accepted_id(exchange) == 10_000
    assert client.ids(exchange) == list(range(1, 10_001))


@pytest.mark.parametrize("window", [1, 2, 3, 199, 65535])
def test_any_window_delivers_everything(
    make_producer: MakeProducer, client: Client, exchange: str, window: int
) -> None:
    producer = make_producer(window=window)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 501))
    producer.flush(exchange)

    assert client.ids(exchange) == list(range(1, 501))


def test_no_more_than_the_window_is_in_flight(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(url=proxied, window=10, no_progress_timeout=0.3)
    producer.open(exchange)
    proxy.freeze()
    send_all(producer, exchange, range(1, 21))  # ten in flight, and ten that wait for room

    with pytest.raises(BrokerUnavailableError, match="10 messages unconfirmed"):
        send(producer, exchange, 21)


def test_our_own_heartbeats_are_no_sign_of_life_from_the_broker(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(url=proxied, heartbeat=1, no_progress_timeout=1.5)
    producer.open(exchange)
    proxy.freeze()
    send(producer, exchange, 1)

    with pytest.raises(BrokerUnavailableError, match=r"did not answer within 1\.5 s"):
        producer.flush(exchange)


def test_nothing_is_accepted_before_the_broker_says_so(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(url=proxied)
    producer.open(exchange)
    proxy.freeze()
    send_all(producer, exchange, range(1, 301))
    producer.wait(exchange, 0.2)
    before = producer.accepted_id(exchange)
    proxy.thaw()
    producer.flush(exchange)

    assert before is None
    assert producer.accepted_id(exchange) == 300


def test_wait_sends_what_was_handed_over_and_returns_when_it_is_accepted(
    producer: RabbitMQProducer, exchange: str
) -> None:
    producer.open(exchange)
    send(producer, exchange, 1)
    begin = time.monotonic()
    producer.wait(exchange, 20)

    assert producer.accepted_id(exchange) == 1
    assert time.monotonic() - begin < 10


def test_a_full_queue_stops_at_the_message_that_it_refused(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    full = {"x-max-length": 5, "x-overflow": "reject-publish"}
    producer = make_producer(queue_arguments=full)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 21))

    with pytest.raises(NotAcceptedError, match="a queue is full") as raised:
        producer.flush(exchange)
    accepted = producer.accepted_id(exchange)
    kept = client.ids(exchange)

    assert accepted is not None
    assert raised.value.event_id == accepted + 1
    assert exchange in str(raised.value)
    assert kept == list(range(1, accepted + 1))

    producer.close(exchange)
    producer.open(exchange)
    send_all(producer, exchange, range(accepted + 1, accepted + 4))
    producer.flush(exchange)
    assert client.ids(exchange) == [accepted + 1, accepted + 2, accepted + 3]


def test_while_one_queue_is_full_again_and_again_others_get_little_twice(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange)
    producer.close(exchange)
    full = f"{exchange}.full"
    limit = {"x-max-length": 10, "x-overflow": "reject-publish"}
    client.channel.queue_declare(full, arguments=limit)
    client.channel.queue_bind(full, exchange)
    first, taken, tries = 1, set[int](), 0
    while first <= 300:
        tries += 1
        producer.open(exchange, Position(first - 1))
        with suppress(NotAcceptedError):
            send_all(producer, exchange, range(first, 301))
            producer.flush(exchange)
        first = (producer.accepted_id(exchange) or first - 1) + 1
        producer.close(exchange)
        taken.update(client.ids(full))  # its subscriber makes room

    assert taken == set(range(1, 301))
    once_more = len(client.ids(exchange)) - 300
    assert tries > 3
    assert once_more < 2 * 300, f"after {tries} tries"
    client.channel.queue_delete(full)


def test_a_message_that_would_reach_no_queue_is_not_accepted(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    client.channel.queue_unbind(exchange, exchange)
    send_all(producer, exchange, range(4, 7))

    with pytest.raises(NotAcceptedError, match="event 4: it would reach no queue") as raised:
        producer.flush(exchange)

    assert raised.value.event_id == 4
    assert producer.accepted_id(exchange) == 3
    with pytest.raises(NotAcceptedError):
        send(producer, exchange, 7)

    producer.close(exchange)
    producer.open(exchange)
    send_all(producer, exchange, range(4, 7))
    producer.flush(exchange)
    assert client.ids(exchange) == [1, 2, 3, 4, 5, 6]


def test_an_exchange_deleted_under_us_loses_nothing_and_comes_back(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    client.channel.exchange_delete(exchange)
    send_all(producer, exchange, range(4, 7))

    with pytest.raises(NotAcceptedError, match="Somebody deleted it") as raised:
        producer.flush(exchange)

    assert exchange in str(raised.value)
    assert producer.accepted_id(exchange) == 3

    producer.close(exchange)
    producer.open(exchange)
    send_all(producer, exchange, range(4, 7))
    producer.flush(exchange)
    assert client.ids(exchange) == [1, 2, 3, 4, 5, 6]


def test_a_cut_connection_is_noticed_and_the_rest_can_be_sent_again(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, client: Client, exchange: str
) -> None:
    producer = make_producer(url=proxied)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 11))
    producer.flush(exchange)
    proxy.cut()

    with pytest.raises(BrokerUnavailableError, match="the connection was lost"):
        send_all(producer, exchange, range(11, 100_001))
    accepted = producer.accepted_id(exchange)
    producer.close(exchange)
    producer.open(exchange)
    send_all(producer, exchange, range(11, 21))
    producer.flush(exchange)

    assert accepted == 10
    assert client.ids(exchange) == list(range(1, 21))


def test_an_idle_relay_notices_a_lost_connection(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(url=proxied)
    producer.open(exchange)
    proxy.cut()

    with pytest.raises(BrokerUnavailableError, match="the connection was lost"):
        producer.wait(exchange, 20)


def test_flush_keeps_to_its_timeout(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(url=proxied)
    producer.open(exchange)
    proxy.freeze()
    send(producer, exchange, 1)
    begin = time.monotonic()

    with pytest.raises(BrokerUnavailableError, match=r"within 0\.2 s .*the first is event 1"):
        producer.flush(exchange, timeout=0.2)

    assert time.monotonic() - begin < 5


def test_close_does_not_wait_for_a_silent_broker(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(url=proxied)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 101))
    proxy.freeze()
    begin = time.monotonic()
    producer.close(exchange)
    producer.close(exchange)

    assert time.monotonic() - begin < 5


def test_two_exchanges_in_one_producer_do_not_disturb_each_other(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    other = exchange + "-other"
    producer.open(exchange)
    producer.open(other)
    for event_id in range(1, 1001):
        send(producer, exchange, event_id)
        send(producer, other, event_id)
    client.channel.queue_unbind(exchange, exchange)
    with pytest.raises(NotAcceptedError):
        send_all(producer, exchange, range(1001, 1_000_001))
    producer.close(exchange)
    producer.flush(other)

    assert producer.accepted_id(other) == 1000
    assert client.ids(other) == list(range(1, 1001))


def test_an_exchange_that_is_waited_for_keeps_another_ones_heartbeats_up(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(heartbeat=1)
    other = exchange + "-other"
    producer.open(exchange)
    producer.open(other)
    producer.wait(other, 4)  # RabbitMQ gives a silent client up after two heartbeats
    send(producer, exchange, 1)
    producer.flush(exchange)

    assert client.ids(exchange) == [1]


def test_who_leaves_an_exchange_alone_no_longer_than_it_can_do_without_keeps_it(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    idle = make_producer(heartbeat=1).open(exchange)
    assert stay_idle(idle, 4)  # RabbitMQ gives a silent client up after two heartbeats
    idle.send([notification(1)])
    idle.flush()

    assert client.ids(exchange) == [1]


def test_without_a_heartbeat_an_exchange_is_still_looked_after(
    make_producer: MakeProducer, exchange: str
) -> None:
    assert make_producer(heartbeat=0).open(exchange).longest_silence == LONGEST


def test_opening_an_open_exchange_is_the_callers_mistake(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    with pytest.raises(RuntimeError, match="is open"):
        producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)

    assert client.ids(exchange) == [1]


def test_using_an_exchange_that_is_not_open_is_the_callers_mistake(
    producer: RabbitMQProducer, exchange: str
) -> None:
    with pytest.raises(RuntimeError, match="is not open"):
        send(producer, exchange, 1)


def test_nothing_is_left_open_after_close(producer: RabbitMQProducer, exchange: str) -> None:
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(5):
        producer.open(exchange)
        send(producer, exchange, 1)
        producer.flush(exchange)
        producer.close(exchange)

    assert process.num_fds() == before


def test_nothing_is_left_open_after_an_opening_that_failed(
    make_producer: MakeProducer, producer: RabbitMQProducer, exchange: str
) -> None:
    process = psutil.Process()
    late = make_producer()
    producer.open(exchange)
    before = process.num_fds()
    with pytest.raises(ExchangeLockedError):
        late.open(exchange)

    assert process.num_fds() == before
