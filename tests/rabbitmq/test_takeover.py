"""One publisher at a time, and what a crash leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pika.exceptions
import pytest

from tests.rabbitmq.client import Client, send, send_all
from tests.rabbitmq.kills import Verdict, judge, kill_publishers
from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    Capability,
    ExchangeLockedError,
    NotAcceptedError,
    Position,
)
from tidings_rabbitmq.plugin import tidings_message_producers
from tidings_rabbitmq.settings import RabbitMQSettings

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
    # The publisher tracks a batch at a time, on top of what is under way.
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
    empty = producer.most_recent_accepted_id(exchange)
    send_all(producer, exchange, 1, 500)
    producer.flush(exchange)
    open_still = producer.most_recent_accepted_id(exchange)
    producer.close(exchange)
    producer.open(exchange)

    assert empty is None
    assert open_still == 500
    assert producer.most_recent_accepted_id(exchange) == 500
    assert producer.most_recent_accepted_id(exchange) == 500


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
    full = {"x-max-length": 5, "x-overflow": "reject-publish"}
    client.channel.queue_declare(f"{exchange}.full", exclusive=True, arguments=full)
    client.channel.queue_bind(f"{exchange}.full", exchange)
    send_all(producer, exchange, 1, 20)
    with pytest.raises(NotAcceptedError, match="a queue is full"):
        producer.flush(exchange)
    if not connected:
        proxy.cut()
    producer.close(exchange)

    # Where the connection is gone, only the producer that was refused can know.
    producer = make_producer(resume="tail") if connected else producer
    producer.open(exchange)

    assert producer.most_recent_accepted_id(exchange) is None


def test_the_tail_of_another_generation_says_nothing(
    make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(resume="tail")
    for generation in (0, 1, 2):
        producer.open(exchange, Position(0, generation))
        before = producer.most_recent_accepted_id(exchange)
        send(producer, exchange, 7)
        producer.flush(exchange)
        after = producer.most_recent_accepted_id(exchange)
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

    assert producer.most_recent_accepted_id(exchange) is None


def test_a_tail_that_is_no_longer_wanted_hides_no_unroutable_message(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    with_tail, without = make_producer(resume="tail"), make_producer()
    with_tail.open(exchange)
    with_tail.close(exchange)
    without.open(exchange)

    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="no queue"):
        client.channel.queue_declare(f"{exchange}.tail", passive=True)


def test_a_queue_of_the_tails_name_that_is_no_tail_is_left_alone(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    name = f"{exchange}.tail"
    client.channel.queue_declare(name, durable=True)
    client.channel.basic_publish("", name, b"somebody else's")
    producer = make_producer()

    producer.open(exchange)
    send_all(producer, exchange, 1, 3)
    producer.flush(exchange)

    assert client.channel.basic_get(name)[2] == b"somebody else's"
    client.channel.queue_delete(name)


def test_a_broker_that_is_away_after_a_refusal_is_told_in_a_sentence(
    make_producer: MakeProducer, client: Client, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make_producer(resume="tail", url=proxied)
    producer.open(exchange)
    full = {"x-max-length": 5, "x-overflow": "reject-publish"}
    client.channel.queue_declare(f"{exchange}.full", exclusive=True, arguments=full)
    client.channel.queue_bind(f"{exchange}.full", exchange)
    send_all(producer, exchange, 1, 20)
    with pytest.raises(NotAcceptedError, match="a queue is full"):
        producer.flush(exchange)
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


def test_capabilities_say_what_the_settings_give(rabbitmq: StreamBroker) -> None:
    (spec,) = tidings_message_producers()
    lock, memory, unroutable, any_order = (
        Capability.LOCK,
        Capability.MOST_RECENT_ACCEPTED_ID,
        Capability.UNROUTABLE,
        Capability.OUT_OF_ORDER,
    )

    def capabilities(**settings: Any) -> set[Capability]:
        return set(spec.capabilities(RabbitMQSettings(**{"url": rabbitmq.url} | settings)))

    assert capabilities() == {lock, unroutable, any_order}
    assert capabilities(lock=False) == {unroutable, any_order}
    assert capabilities(resume="tail") == {lock, memory, any_order}
