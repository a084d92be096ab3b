"""The exchange's own queue is deleted, unbound, or left to expire, while another one is bound."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.rabbitmq.client import Client, send
from tidings.plugins import DeliveryError, NotAcceptedError
from tidings.testing import eventually
from tidings.testing.samples import send_all
from tidings_rabbitmq import confirms, upkeep

if TYPE_CHECKING:
    from tests.rabbitmq.conftest import MakeProducer
    from tidings_rabbitmq.producer import RabbitMQProducer

EXPIRES_MILLISECONDS = 1000
ENOUGH = 1_000_000


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.1)


@pytest.fixture
def audit(client: Client, exchange: str) -> str:
    """Give the name of another subscriber's queue, for which the exchange is there already."""
    client.channel.exchange_declare(exchange, "fanout", durable=True)
    name = str(client.channel.queue_declare(f"{exchange}.audit", exclusive=True).method.queue)
    client.channel.queue_bind(name, exchange)
    return name


@pytest.mark.parametrize("resume", ["tracker", "tail"])
def test_a_deleted_queue_is_noticed_by_an_idle_relay_and_declared_anew(
    make_producer: MakeProducer, client: Client, exchange: str, audit: str, resume: str
) -> None:
    producer = make_producer(resume=resume)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    client.channel.queue_delete(exchange)

    with pytest.raises(NotAcceptedError, match="let it expire") as raised:
        producer.wait(exchange, 20)
    producer.close(exchange)
    producer.open(exchange)
    send_all(producer, exchange, range(4, 7))
    producer.flush(exchange)

    assert f"no queue '{exchange}'" in str(raised.value)
    assert client.ids(exchange) == [4, 5, 6]
    assert client.ids(audit) == [1, 2, 3, 4, 5, 6]


def test_a_deleted_queue_is_noticed_by_a_busy_relay(
    producer: RabbitMQProducer, client: Client, exchange: str, audit: str
) -> None:
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    client.channel.queue_delete(exchange)

    with pytest.raises(NotAcceptedError, match="let it expire"):
        send_all(producer, exchange, range(2, ENOUGH + 1))

    assert client.count(audit) >= (producer.accepted_id(exchange) or 0) > 0


@pytest.mark.parametrize("topology", ["declare", "check"])
def test_what_a_deleted_queue_lacks_is_not_accepted(
    make_producer: MakeProducer,
    client: Client,
    exchange: str,
    audit: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    topology: str,
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 1000)
    maker = make_producer(queues=[exchange])
    maker.open(exchange)
    maker.close(exchange)
    producer = make_producer(queues=[exchange], topology=topology)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    before = client.ids(exchange)
    client.channel.queue_delete(exchange)
    send_all(producer, exchange, range(4, 10))

    with pytest.raises(DeliveryError, match=f"no queue '{exchange}'"):
        producer.flush(exchange)

    assert producer.accepted_id(exchange) == 3
    assert before == [1, 2, 3]
    assert client.ids(audit) == list(range(1, 10)), "which the broker has confirmed"


def test_a_window_goes_through_with_a_few_looks(
    make_producer: MakeProducer, client: Client, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    call_in_turn = upkeep.call_in_turn

    def count_and_call(*arguments: Any) -> None:
        nonlocal looks
        looks += 1
        call_in_turn(*arguments)

    monkeypatch.setattr(confirms, "call_in_turn", count_and_call)
    producer = make_producer(window=400)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4001))
    producer.flush(exchange)

    assert producer.accepted_id(exchange) == 4000
    assert client.ids(exchange) == list(range(1, 4001))
    assert 4000 / 400 <= looks <= 4 * 4000 / 400 + 4


def test_a_queue_that_somebody_unbound_is_bound_again(
    producer: RabbitMQProducer, client: Client, exchange: str, audit: str
) -> None:
    producer.open(exchange)
    client.channel.queue_unbind(exchange, exchange)

    def arrives(event_id: int) -> bool:
        send(producer, exchange, event_id)
        producer.flush(exchange)
        producer.wait(exchange, 0.05)
        return client.count(exchange) > 0

    ids = itertools.count(1)
    eventually(lambda: arrives(next(ids)), "an event in the queue", 60)
    first, *_ = client.ids(exchange)

    assert client.ids(audit) == list(range(1, next(ids)))
    assert first > 1


def test_a_queue_that_expires_when_it_is_unused_is_kept_while_the_relay_is_connected(
    make_producer: MakeProducer, client: Client, exchange: str, audit: str
) -> None:
    producer = make_producer(queue_arguments={"x-expires": EXPIRES_MILLISECONDS})
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)
    producer.wait(exchange, 3 * EXPIRES_MILLISECONDS / 1000)
    send(producer, exchange, 2)
    producer.flush(exchange)

    assert client.ids(exchange) == client.ids(audit) == [1, 2]
