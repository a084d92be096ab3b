"""The token: one message that is the lock and the last published id."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.activemq.client import Client, ids, queue_of
from tests.activemq.sending import send
from tests.remembered import newest_id
from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    ExchangeLockedError,
    Position,
)
from tidings.testing import eventually
from tidings.testing.samples import send_all
from tidings_activemq import token

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.activemq.client import Frame
    from tests.activemq.conftest import MakeProducer
    from tests.servers import ActiveMQ
    from tests.servers.given import Broker
    from tidings.testing.proxy import TcpProxy
    from tidings_activemq.producer import ActiveMQProducer


def tokens(client: Client, exchange: str) -> list[tuple[int, int]]:
    values = [json.loads(frame.body) for frame in client.browse(f"{exchange}.tracker")]
    return [(value["event_id"], value["generation"]) for value in values]


def put_token(client: Client, exchange: str, body: str) -> None:
    headers = {"destination": f"/queue/{exchange}.tracker", "persistent": "true"}
    client.request("SEND", headers, body.encode())


def test_there_is_one_token_and_it_bears_the_last_accepted_id(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange, Position(0, 7))
    first = tokens(client, exchange)
    send_all(producer, exchange, range(1, 1751))
    producer.flush(exchange)

    assert first == [(0, 7)]
    assert tokens(client, exchange) == [(1750, 7)]
    assert newest_id(producer, exchange) == 1750


def test_a_second_publisher_is_kept_out_and_harms_nothing(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    first, second = make_producer(), make_producer(token_timeout=0.5)
    first.open(exchange)
    newest = 0
    with ThreadPoolExecutor() as threads:
        opening = threads.submit(second.open, exchange)
        while not opening.done():
            newest += 1
            send(first, exchange, newest)
            first.flush(exchange)
        with pytest.raises(ExchangeLockedError, match="another publisher") as raised:
            opening.result()
    first.close(exchange)
    second.open(exchange)

    assert exchange in str(raised.value)
    assert newest_id(second, exchange) == newest > 5
    assert ids(client.read_fast(queue_of(exchange), newest)) == list(range(1, newest + 1))
    assert tokens(client, exchange) == [(newest, 0)]


def test_a_foreign_reader_of_the_token_keeps_relays_out_and_is_suspected(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange)
    producer.close(exchange)
    client.subscribe(f"/queue/{exchange}.tracker")
    assert client.frame(60)

    with pytest.raises(ExchangeLockedError, match="If no relay runs, another program reads"):
        make_producer(token_timeout=0.5).open(exchange)


def test_our_own_last_connection_is_not_called_another_publisher(
    activemq: Broker, proxy: TcpProxy, make_producer: MakeProducer, exchange: str
) -> None:
    login, _, place = activemq.url.rpartition("@")
    url = f"{login}@{proxy.address[0]}:{proxy.address[1]},{place}"
    producer = make_producer(url=url, token_timeout=0.5, heartbeat=0)
    producer.open(exchange)
    proxy.freeze()
    producer.close(exchange)
    proxy.refuse()
    with pytest.raises(BrokerUnavailableError, match="our own last connection"):
        producer.open(exchange)


def test_of_several_tokens_the_greatest_of_the_generation_counts_and_the_others_go(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    for event_id, generation in ((0, 2), (40, 2), (7, 2), (900, 1)):
        put_token(client, exchange, json.dumps({"event_id": event_id, "generation": generation}))
    put_token(client, exchange, "rubbish")
    put_token(client, exchange, '["rubbish"]')
    put_token(client, exchange, "[" * 100_000)
    put_token(client, exchange, '{"event_id": 1e999, "generation": 2}')
    producer.open(exchange, Position(0, 2))

    assert newest_id(producer, exchange) == 40
    assert tokens(client, exchange) == [(40, 2)]


def test_a_token_that_another_makes_meanwhile_is_removed(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    send(producer, exchange, 5)
    producer.flush(exchange)
    put_token(client, exchange, '{"event_id": 0, "generation": 0}')

    def is_alone() -> bool:
        producer.wait(exchange, 0.05)
        return len(tokens(client, exchange)) == 1

    eventually(is_alone, "the other token to be removed", 5)
    assert tokens(client, exchange) == [(5, 0)]


def test_a_token_that_is_further_than_ours_stops_the_publisher_and_counts_at_the_next_opening(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    send(producer, exchange, 5)
    producer.flush(exchange)
    put_token(client, exchange, '{"event_id": 9, "generation": 0}')
    with pytest.raises(BrokerUnavailableError, match="events up to 9 are published"):
        producer.wait(exchange, 5)
    producer.close(exchange)
    producer.open(exchange)

    assert newest_id(producer, exchange) == 9
    assert tokens(client, exchange) == [(9, 0)]


def test_a_token_is_not_worn_out_by_many_openings(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    producer.open(exchange)
    send(producer, exchange, 5)
    producer.flush(exchange)
    for _ in range(20):
        producer.close(exchange)
        producer.open(exchange)

    assert newest_id(producer, exchange) == 5
    assert tokens(client, exchange) == [(5, 0)]


def test_an_idle_publisher_writes_the_token_anew(
    producer: ActiveMQProducer,
    client: Client,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer.open(exchange)
    send(producer, exchange, 5)
    producer.flush(exchange)
    (before,) = client.browse(f"{exchange}.tracker")
    monkeypatch.setattr(token, "REFRESH", 0.0)
    producer.wait(exchange, 0.2)
    producer.flush(exchange)
    found: list[Frame] = []

    def written_anew() -> bool:  # a browser may see a commit that is half done
        found[:] = client.browse(f"{exchange}.tracker")
        return len(found) == 1 and found[0].headers["message-id"] != before.headers["message-id"]

    eventually(written_anew, "the new token", 60)
    assert (before.body, producer.accepted_id(exchange)) == (found[0].body, 5)
    send(producer, exchange, 6)
    producer.flush(exchange)
    assert tokens(client, exchange) == [(6, 0)]


def test_without_the_token_two_may_publish_and_nothing_is_kept(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    first, second = make_producer(token=False), make_producer(token=False)
    first.open(exchange)
    second.open(exchange)
    send_all(first, exchange, range(1, 1001))
    first.flush(exchange)
    send(second, exchange, 1001)
    second.flush(exchange)

    assert ids(client.read_fast(queue_of(exchange), 1001)) == list(range(1, 1002))
    with Client(client.url) as another:
        assert another.browse(f"{exchange}.tracker") == []


def test_no_right_to_write_the_token_is_found_out_before_the_first_event(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    rights = 'queue=">" read="readers" write='
    url = configured_activemq(replacing={f'{rights}"writers"': f'{rights}"nobody"'}).url
    with pytest.raises(BrokerRefusedError, match=rf"{exchange}\.tracker"):
        make_producer(url=url).open(exchange)


def test_the_token_does_not_move_when_the_events_are_refused(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    rights = 'topic=">" read="readers" write='
    url = configured_activemq(replacing={f'{rights}"writers"': f'{rights}"nobody"'}).url
    producer = make_producer(url=url, prove_queues=False)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 11))
    with pytest.raises(BrokerRefusedError, match=rf"VirtualTopic\.{exchange}"):
        producer.flush(exchange)

    accepted = producer.accepted_id(exchange)
    producer.close(exchange)
    producer.open(exchange)

    assert accepted is None
    assert newest_id(producer, exchange) is None
