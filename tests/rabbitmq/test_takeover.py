"""One publisher at a time, and what a crash leaves behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pika.exceptions
import pytest

from tests.rabbitmq.client import Client, send
from tests.rabbitmq.kills import Verdict, judge, kill_publishers
from tests.remembered import newest_id
from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    Capability,
    ExchangeLockedError,
    NotAcceptedError,
    Position,
)
from tidings.testing import eventually
from tidings.testing.samples import send_all
from tidings_rabbitmq.pipeline import PIECE_MESSAGES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings.testing.proxy import TcpProxy
    from tidings_rabbitmq.producer import RabbitMQProducer

PUBLISHER = "tests.rabbitmq.publisher"


def test_a_second_publisher_is_kept_out_until_the_first_has_closed(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    first, second = make_producer(), make_producer()
    first.open(exchange)

    with pytest.raises(ExchangeLockedError, match="another publisher holds it") as raised:
        second.open(exchange)
    send(first, exchange, 1)
    first.flush(exchange)
    first.close(exchange)
    second.open(exchange)
    send(second, exchange, 2)
    second.flush(exchange)

    assert exchange in str(raised.value)
    assert client.ids(exchange) == [1, 2]


def test_without_the_lock_two_may_publish(make_producer: MakeProducer, exchange: str) -> None:
    first, second = make_producer(lock=False), make_producer(lock=False)
    first.open(exchange)
    second.open(exchange)
    send(second, exchange, 1)
    second.flush(exchange)

    assert second.accepted_id(exchange) == 1


def test_a_lock_that_is_taken_away_stops_the_publisher(
    producer: RabbitMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    client.channel.queue_delete(f"{exchange}.relay")

    with pytest.raises(ExchangeLockedError, match="took our lock away"):
        producer.wait(exchange, 20)


@pytest.mark.chaos
def test_after_a_kill_the_next_publisher_loses_and_reorders_nothing(
    rabbitmq: StreamBroker, client: Client, exchange: str, tmp_path: Path
) -> None:
    rounds, window = 5, 500
    settings = {"url": rabbitmq.url, "window": window}

    kill_publishers(rounds, PUBLISHER, settings, exchange, tmp_path / "position")
    ids = client.ids(exchange)
    verdict = judge(ids)

    assert len(ids) > rounds * 100
    assert (verdict.lost, verdict.reordered) == (0, 0)
    # The publisher tracks a batch at a time, on top of what is in flight.
    assert verdict.duplicated <= rounds * (window + 100)


@pytest.mark.chaos
def test_with_the_tail_a_kill_republishes_nothing_at_all(
    rabbitmq: StreamBroker, client: Client, exchange: str, tmp_path: Path
) -> None:
    rounds = 8
    settings = {"url": rabbitmq.url, "resume": "tail"}

    begun = kill_publishers(rounds, PUBLISHER, settings, exchange, tmp_path / "position")
    ids = client.ids(exchange)

    assert judge(ids) == Verdict(lost=0, duplicated=0, reordered=0)
    assert begun == sorted(set(begun))
    assert len(ids) > rounds * 100


def test_the_tail_is_the_newest_event_that_was_routed_and_stays_there(
    make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(resume="tail")
    producer.open(exchange)
    empty = newest_id(producer, exchange)
    send_all(producer, exchange, range(1, 501))
    producer.flush(exchange)
    open_still = newest_id(producer, exchange)
    producer.close(exchange)
    producer.open(exchange)

    assert empty is None
    assert open_still == 500
    assert newest_id(producer, exchange) == 500
    assert newest_id(producer, exchange) == 500


def test_where_the_tail_is_gone_no_more_than_a_window_is_not_tracked(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    window = 50
    producer = make_producer(resume="tail", window=window)
    tracked = [0]

    def track() -> None:
        tracked.append(producer.accepted_id(exchange) or 0)

    producer.open(exchange, on_accepted=track)
    client.channel.queue_delete(f"{exchange}.tail")  # as a policy that lets it expire would
    send_all(producer, exchange, range(1, 20 * window + 1))

    assert len(tracked) > 1
    assert client.count(exchange) - tracked[-1] <= window


def test_a_policy_that_keeps_what_queues_drop_gets_nothing_of_the_tail(
    rabbitmq: StreamBroker, make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    policy = json.dumps({"dead-letter-exchange": exchange})
    rabbitmq.ctl("set_policy", exchange, f"^{exchange}", policy)
    producer = make_producer(resume="tail")
    producer.open(exchange)
    send_all(producer, exchange, range(1, 51))
    producer.flush(exchange)
    rabbitmq.ctl("clear_policy", exchange)

    assert client.ids(exchange) == list(range(1, 51))


def be_refused(producer: RabbitMQProducer, client: Client, exchange: str) -> None:
    """Send what one more queue, which is full, refuses, and the others have."""
    full = {"x-max-length": 5, "x-overflow": "reject-publish"}
    client.channel.queue_declare(f"{exchange}.full", exclusive=True, arguments=full)
    client.channel.queue_bind(f"{exchange}.full", exchange)
    send_all(producer, exchange, range(1, 21))
    with pytest.raises(NotAcceptedError, match="a queue is full"):
        producer.flush(exchange)


@pytest.mark.parametrize("connected", [True, False])
def test_the_tail_says_nothing_of_events_that_another_queue_refused(
    make_producer: MakeProducer,
    client: Client,
    proxy: TcpProxy,
    proxied: str,
    exchange: str,
    *,
    connected: bool,
) -> None:
    producer = make_producer(resume="tail", url=proxied)
    producer.open(exchange)
    be_refused(producer, client, exchange)
    if not connected:
        proxy.cut()
    producer.close(exchange)

    # If the connection is gone, only the producer that was refused can know.
    producer = make_producer(resume="tail") if connected else producer
    producer.open(exchange)

    assert newest_id(producer, exchange) is None


def test_the_tail_says_nothing_where_a_refusal_may_not_have_been_heard(
    make_producer: MakeProducer, client: Client, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(resume="tail", url=proxied, window=2 * PIECE_MESSAGES)
    producer.open(exchange)
    be_refused(producer, client, exchange)
    producer.close(exchange)
    client.channel.queue_unbind(f"{exchange}.full", exchange)
    producer.open(exchange)
    # What follows a refusal goes out in small rounds, until a whole window was accepted.
    send_all(producer, exchange, range(1, 4 * PIECE_MESSAGES + 1))
    producer.flush(exchange)
    client.channel.queue_bind(f"{exchange}.full", exchange)
    queued = client.count(exchange)
    # It writes them all at once, and reads no answer.
    send_all(producer, exchange, range(4 * PIECE_MESSAGES + 1, 5 * PIECE_MESSAGES + 1))
    eventually(
        lambda: client.count(exchange) == queued + PIECE_MESSAGES, "the events to be routed", 20
    )
    proxy.cut()
    producer.close(exchange)
    producer.open(exchange)

    assert newest_id(producer, exchange) is None


def test_once_a_queue_has_refused_the_tail_says_nothing_of_a_relay_that_died_unheard(
    make_producer: MakeProducer, client: Client, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    first = make_producer(resume="tail")
    first.open(exchange)
    be_refused(first, client, exchange)
    first.close(exchange)
    queued = client.count(exchange)
    killed = make_producer(resume="tail", url=proxied)
    killed.open(exchange)
    # It writes them all at once, and reads no answer.
    send_all(killed, exchange, range(1, PIECE_MESSAGES + 1))
    eventually(
        lambda: client.count(exchange) == queued + PIECE_MESSAGES, "the events to be routed", 20
    )
    proxy.cut()
    third = make_producer(resume="tail")
    third.open(exchange)

    assert newest_id(third, exchange) is None


def test_the_tail_of_another_generation_says_nothing(
    make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(resume="tail")
    for generation in (0, 1, 2):
        producer.open(exchange, Position(0, generation))
        before = newest_id(producer, exchange, generation)
        send(producer, exchange, 7)
        producer.flush(exchange)
        after = newest_id(producer, exchange, generation)
        producer.close(exchange)

        assert (before, after) == (None, 7)


def test_a_strangers_message_in_the_tail_says_nothing(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(resume="tail")
    producer.open(exchange)
    send(producer, exchange, 7)
    producer.flush(exchange)
    properties = pika.BasicProperties(message_id="4711")
    client.channel.confirm_delivery()
    client.channel.basic_publish(exchange, "", b"", properties)

    assert newest_id(producer, exchange) is None


def test_a_tail_that_is_no_longer_wanted_hides_no_unroutable_message(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    with_tail, without = make_producer(resume="tail"), make_producer()
    with_tail.open(exchange)
    with_tail.close(exchange)
    without.open(exchange)
    client.channel.queue_unbind(exchange, exchange)
    send(without, exchange, 1)

    with pytest.raises(NotAcceptedError, match="would reach no queue"):
        without.flush(exchange)


def test_a_queue_of_the_tails_name_that_is_no_tail_is_left_alone(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    name = f"{exchange}.tail"
    client.channel.queue_declare(name, durable=True)
    client.channel.basic_publish("", name, b"somebody else's")
    producer = make_producer()

    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)

    assert client.channel.basic_get(name)[2] == b"somebody else's"
    client.channel.queue_delete(name)


def test_a_broker_that_is_away_after_a_refusal_is_told_in_a_sentence(
    make_producer: MakeProducer, client: Client, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(resume="tail", url=proxied)
    producer.open(exchange)
    be_refused(producer, client, exchange)
    proxy.cut()
    producer.close(exchange)
    proxy.refuse()

    for _ in range(2):
        with pytest.raises(BrokerUnavailableError):
            producer.open(exchange)


def test_the_tail_is_refused_where_the_queue_is_a_quorum_queue(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    client.channel.queue_declare(exchange, durable=True, arguments={"x-queue-type": "quorum"})
    producer = make_producer(resume="tail")

    with pytest.raises(BrokerRefusedError, match="current is 'quorum'"):
        producer.open(exchange)


def test_capabilities_say_what_the_settings_give(make_producer: MakeProducer) -> None:
    lock, memory, unroutable, any_order = (
        Capability.LOCK,
        Capability.MOST_RECENT_ACCEPTED,
        Capability.UNROUTABLE,
        Capability.OUT_OF_ORDER,
    )
    always = {
        any_order,
        Capability.WAIT_SETTLES,
        Capability.ROUTING,
        Capability.PARTITIONS,
    }

    assert make_producer().capabilities == always | {lock, unroutable}
    assert make_producer(lock=False).capabilities == always | {unroutable}
    assert make_producer(unroutable="ignore").capabilities == always | {lock}
    assert make_producer(resume="tail").capabilities == always | {lock, memory}
