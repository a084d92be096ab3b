"""What holds on Redis in particular."""

import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from pydantic import SecretStr, ValidationError

from tidings.plugins import (
    Accepted,
    BrokerRefusedError,
    BrokerUnavailableError,
    ExchangeLockedError,
    NotAcceptedError,
    NotificationMessage,
    Position,
)
from tidings.testing import TcpProxy
from tidings_redis.consumer import RedisConsumer
from tidings_redis.open_exchange import BATCH_BYTES
from tidings_redis.producer import RedisProducer
from tidings_redis.settings import RedisSettings


@pytest.fixture
def exchange_name() -> str:
    return f"redis-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def settings(url: str) -> RedisSettings:
    return RedisSettings(url=SecretStr(url), timeout=2)


@pytest.fixture
def producer(settings: RedisSettings, exchange_name: str) -> Iterator[RedisProducer]:
    producer = RedisProducer(settings)
    yield producer
    producer.close(exchange_name)


def send(
    producer: RedisProducer, exchange_name: str, event_ids: Iterable[int], body: bytes = b"{}"
) -> None:
    message = NotificationMessage(body, "application/json", {})
    for event_id in event_ids:
        producer.send(exchange_name, message, "Sent", event_id, datetime(2026, 1, 2, tzinfo=UTC))


def entries(client: redis.Redis, exchange_name: str) -> list[str]:
    found: Any = client.xrange(exchange_name)
    return [entry_id.decode() for entry_id, _ in found]


def test_an_entry_can_be_read_with_the_command_line_client(
    producer: RedisProducer, exchange_name: str, client: redis.Redis
) -> None:
    producer.open(exchange_name)
    message = NotificationMessage(b'{"a":1}', "application/json", {"aggregate_id": "order-1"})
    when = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    producer.send(exchange_name, message, "OrderPlaced", 11, when)
    producer.flush(exchange_name)

    assert client.xrange(exchange_name) == [
        (
            b"0-11",
            {
                b"message_id": b"11",
                b"type": b"OrderPlaced",
                b"occurred_on": b"2026-01-02T03:04:05.000006+00:00",
                b"content_type": b"application/json",
                b"store": b"",
                b"body": b'{"a":1}',
                b"aggregate_id": b"order-1",
            },
        )
    ]


def test_what_another_relay_sent_meanwhile_is_neither_doubled_nor_skipped(
    producer: RedisProducer, settings: RedisSettings, exchange_name: str, client: redis.Redis
) -> None:
    late = RedisProducer(settings)
    for each in (late, producer):
        each.open(exchange_name)
    send(late, exchange_name, [1, 2, 3])
    late.flush(exchange_name)
    late.close(exchange_name)

    send(producer, exchange_name, [1, 2, 3, 4, 5])
    with pytest.raises(ExchangeLockedError, match=f"Another relay.*{exchange_name}"):
        producer.flush(exchange_name)

    assert producer.accepted_id(exchange_name) is None
    producer.close(exchange_name)
    producer.open(exchange_name)
    newest = producer.most_recent_accepted(exchange_name)
    assert newest is not None
    send(producer, exchange_name, range(newest.event_id + 1, 7))
    producer.flush(exchange_name)
    assert entries(client, exchange_name) == [f"0-{event_id}" for event_id in range(1, 7)]


def test_a_replay_goes_on_in_the_same_stream_and_shuts_out_older_relays(
    producer: RedisProducer, settings: RedisSettings, exchange_name: str, client: redis.Redis
) -> None:
    producer.open(exchange_name)
    send(producer, exchange_name, [1, 2])
    producer.flush(exchange_name)
    replaying = RedisProducer(settings)
    replaying.open(exchange_name, Position(0, 1))
    send(replaying, exchange_name, [1])
    replaying.flush(exchange_name)
    replaying.close(exchange_name)

    send(producer, exchange_name, [3])
    with pytest.raises(ExchangeLockedError):
        producer.flush(exchange_name)
    assert entries(client, exchange_name) == ["0-1", "0-2", "1-1"]


def test_the_newest_id_outlives_the_entries(
    producer: RedisProducer, exchange_name: str, client: redis.Redis
) -> None:
    producer.open(exchange_name)
    send(producer, exchange_name, [1, 2, 3])
    producer.flush(exchange_name)

    assert client.xtrim(exchange_name, maxlen=0, approximate=False) == 3
    assert producer.most_recent_accepted(exchange_name) == Accepted(3)


def test_a_batch_is_published_whole_or_not_at_all(
    producer: RedisProducer, exchange_name: str, client: redis.Redis
) -> None:
    producer.open(exchange_name)
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 1_000_000)
    try:
        send(producer, exchange_name, range(1, 100), body=b"x" * 30_000)
        with pytest.raises(NotAcceptedError, match="maxmemory") as refused:
            producer.flush(exchange_name)
    finally:
        client.config_set("maxmemory", 0)

    assert entries(client, exchange_name) == []
    assert "XADD" not in str(refused.value), "the error quotes the command, and so the event"


def test_a_batch_of_large_events_is_published_before_it_fills_the_memory(
    producer: RedisProducer, exchange_name: str
) -> None:
    producer.open(exchange_name)
    send(producer, exchange_name, [1, 2], body=b"x" * (BATCH_BYTES // 2))
    send(producer, exchange_name, [3])

    assert producer.accepted_id(exchange_name) == 2


def test_a_stream_is_cut_to_the_length_that_was_asked_for(
    url: str, exchange_name: str, client: redis.Redis
) -> None:
    short = RedisProducer(RedisSettings(url=SecretStr(url), maxlen=100))
    short.open(exchange_name)
    send(short, exchange_name, range(1, 1001))
    short.flush(exchange_name)
    short.close(exchange_name)

    assert 100 <= client.xlen(exchange_name) < 1000


def test_a_key_of_another_kind_is_refused_by_name(
    producer: RedisProducer, exchange_name: str, client: redis.Redis
) -> None:
    client.set(exchange_name, "a text")
    producer.open(exchange_name)
    send(producer, exchange_name, [1])

    with pytest.raises(BrokerRefusedError, match=f"{exchange_name}.*wrong kind of value"):
        producer.flush(exchange_name)


def test_pending_entries_that_were_cut_off_are_passed(
    producer: RedisProducer, settings: RedisSettings, exchange_name: str, client: redis.Redis
) -> None:
    consumer = RedisConsumer(settings, "app")
    consumer.open(exchange_name)
    producer.open(exchange_name)
    send(producer, exchange_name, [1])
    producer.flush(exchange_name)
    assert consumer.receive(2) is not None
    consumer.close()
    client.xtrim(exchange_name, maxlen=0, approximate=False)
    send(producer, exchange_name, [2])
    producer.flush(exchange_name)

    consumer.open(exchange_name)
    message = consumer.receive(2)
    consumer.close()
    assert message is not None
    assert message.message_id == "2"


def test_plain_redis_behind_a_tls_url_is_unavailable_with_a_sentence(
    url: str, exchange_name: str
) -> None:
    url = url.replace("redis:", "rediss:")
    secure = RedisProducer(RedisSettings(url=SecretStr(url), timeout=2))

    with pytest.raises(BrokerUnavailableError, match=f"does not answer.*{exchange_name}"):
        secure.open(exchange_name)
    secure.close(exchange_name)


def test_the_library_tries_nothing_again_by_itself(exchange_name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        producer = RedisProducer(RedisSettings(url=SecretStr(url), timeout=0.2))
        with pytest.raises(BrokerUnavailableError):
            producer.open(exchange_name)
        producer.close(exchange_name)

        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_flush_does_not_wait_for_the_longer_timeout_of_the_settings(
    url: str, redis_address: tuple[str, int], exchange_name: str
) -> None:
    with TcpProxy(*redis_address) as link:
        patient = url.replace(f":{redis_address[1]}/", f":{link.address[1]}/")
        producer = RedisProducer(RedisSettings(url=SecretStr(patient), timeout=60))
        producer.open(exchange_name)
        send(producer, exchange_name, [1])
        link.freeze()
        begun = time.monotonic()
        with pytest.raises(BrokerUnavailableError):
            producer.flush(exchange_name, timeout=0.2)
        assert time.monotonic() - begun < 10
        producer.close(exchange_name)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"url": "http://:hidden@localhost"}, "must look like redis://"),
        ({"url": "redis://:hid/den@localhost"}, "must look like redis://"),
        ({"url": "redis://:hidden@localhost?ssl_cert_reqs=none"}, "without a query"),
        ({"url": "redis://localhost", "stream": "events"}, "two exchanges cannot share"),
        ({"url": "redis://localhost", "maxlen": 0}, "maxlen"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_the_secret(
    settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        RedisSettings(**settings)

    assert "hid" not in str(refused.value)
