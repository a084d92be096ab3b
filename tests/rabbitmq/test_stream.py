"""The rabbitmq-stream backend, judged by an AMQP 0-9-1 client that reads the stream."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, ValidationError

from tests.producers import closing
from tests.rabbitmq.client import Client, notification, send
from tests.rabbitmq.idle import stay_idle
from tests.rabbitmq.kills import Verdict, judge, kill_publishers
from tests.remembered import newest_id
from tests.servers.process import free_port
from tidings.plugins import (
    Accepted,
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    NotAcceptedError,
    Notification,
    NotificationMessage,
    Position,
    UndeliverableEventError,
    fingerprint_of,
)
from tidings.testing import TcpProxy, samples
from tidings.testing.samples import send_all
from tidings_rabbitmq.stream.consumer import RabbitMQStreamConsumer
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.publishing import PublishingConnection
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.servers.given import StreamBroker

    Make = Callable[..., RabbitMQStreamProducer]

OCCURRED_ON = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def settings(url: str, **values: Any) -> RabbitMQStreamSettings:
    return RabbitMQStreamSettings(url=SecretStr(url), **values)


def url_of(rabbitmq: StreamBroker, *, path: str = "", **changes: Any) -> str:
    """Return the broker's URL with other words in some of its places."""
    address = settings(rabbitmq.stream_url).address._replace(**changes)
    login = f"{address.user}:{address.password.get_secret_value()}"
    return f"rabbitmq-stream://{login}@{address.host}:{address.port}/{path}"


@pytest.fixture
def make(rabbitmq: StreamBroker) -> Iterator[Make]:
    """Give a function that makes producers (of the session's broker) that the test closes."""

    def make(url: str = rabbitmq.stream_url, **values: Any) -> RabbitMQStreamProducer:
        return RabbitMQStreamProducer(settings(url, **values))

    yield from closing(make)


@pytest.fixture
def stream_proxy(rabbitmq: StreamBroker) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", rabbitmq.stream_port) as proxy:
        yield proxy


@pytest.fixture
def proxied(rabbitmq: StreamBroker, stream_proxy: TcpProxy) -> str:
    host, port = stream_proxy.address
    return url_of(rabbitmq, host=host, port=port)


def test_another_client_finds_every_property_where_it_looks(
    make: Make, client: Client, exchange: str
) -> None:
    headers = {"aggregate_id": "order-Ü", "metadata": '{"user":"u1"}'}
    body = '{"name":"Jürgen"}'.encode() * 50
    producer = make()
    producer.open(exchange, Position(0, generation=2))
    producer.send(
        exchange,
        NotificationMessage(body, "application/json", headers),
        "Überwiesen",
        4711,
        OCCURRED_ON,
    )
    producer.flush(exchange)

    (seen,) = client.stream(exchange, 1)

    assert seen.body == body
    assert seen.properties.message_id == "4711"
    assert seen.properties.type == "Überwiesen"
    assert seen.properties.timestamp == 1767323045
    assert seen.properties.content_type == "application/json"
    assert seen.properties.app_id == "tidings"
    ours = {"occurred_on": "2026-01-02T03:04:05.000006+00:00", "generation": "2"}
    assert headers.items() | ours.items() <= seen.properties.headers.items()


def test_ten_thousand_arrive_once_each_and_in_order(
    make: Make, client: Client, exchange: str
) -> None:
    producer = make()
    producer.open(exchange)
    send_all(producer, exchange, range(1, 10_001))
    producer.flush(exchange)

    assert producer.accepted_id(exchange) == 10_000
    seen = client.stream(exchange, 10_000)
    assert [message.event_id for message in seen] == list(range(1, 10_001))


def test_the_broker_drops_what_it_has_and_says_what_the_newest_is(
    make: Make, client: Client, exchange: str
) -> None:
    producer = make()
    producer.open(exchange)
    before = newest_id(producer, exchange)
    send_all(producer, exchange, range(1, 501))
    producer.flush(exchange)
    producer.close(exchange)
    producer.open(exchange)
    after = newest_id(producer, exchange)
    send_all(producer, exchange, range(301, 601))
    producer.flush(exchange)

    assert (before, after) == (None, 500)
    assert producer.accepted_id(exchange) == 600
    seen = client.stream(exchange, 600)
    assert [message.event_id for message in seen] == list(range(1, 601))


def test_behind_a_strangers_message_only_the_id_is_known(
    make: Make, client: Client, exchange: str
) -> None:
    producer = make()
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    known = producer.most_recent_accepted(exchange)
    client.channel.confirm_delivery()
    client.channel.basic_publish("", exchange, b"of another program")

    assert known == Accepted(3, fingerprint_of("OrderPlaced", samples.notification(3).occurred_on))
    assert producer.most_recent_accepted(exchange) == Accepted(3, None)


def test_a_replay_is_not_dropped(make: Make, client: Client, exchange: str) -> None:
    producer = make()
    for generation in (0, 1):
        producer.open(exchange, Position(0, generation))
        assert newest_id(producer, exchange, generation) is None
        send_all(producer, exchange, range(1, 4))
        producer.flush(exchange)
        assert newest_id(producer, exchange, generation) == 3
        producer.close(exchange)

    seen = client.stream(exchange, 6)
    assert [message.event_id for message in seen] == [1, 2, 3, 1, 2, 3]


@pytest.mark.chaos
def test_a_kill_loses_duplicates_and_reorders_nothing(
    rabbitmq: StreamBroker, client: Client, exchange: str, tmp_path: Path
) -> None:
    rounds = 6
    kill_publishers(
        rounds,
        "tests.rabbitmq.stream_publisher",
        {"url": rabbitmq.stream_url},
        exchange,
        tmp_path / "position",
    )
    with_memory = RabbitMQStreamProducer(settings(rabbitmq.stream_url))
    with_memory.open(exchange)
    newest = newest_id(with_memory, exchange) or 0
    with_memory.close(exchange)
    ids = [seen.event_id for seen in client.stream(exchange, newest)]

    assert judge(ids) == Verdict(lost=0, duplicated=0, reordered=0)
    assert ids[-1] == newest > rounds * 100


def test_no_more_than_the_window_is_in_flight_and_silence_is_noticed(
    make: Make, stream_proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make(proxied, window=10, no_progress_timeout=2)
    producer.open(exchange)
    stream_proxy.delay(0.3)
    send_all(producer, exchange, range(1, 6))  # in flight, once the broker said what it has
    stream_proxy.freeze()
    send_all(producer, exchange, range(6, 21))  # ten in flight, and ten that wait for room

    with pytest.raises(BrokerUnavailableError, match="10 messages unconfirmed"):
        send(producer, exchange, 21)
    assert producer.accepted_id(exchange) is None


def test_a_broker_that_does_not_say_what_it_has_is_noticed(
    make: Make, stream_proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make(proxied, no_progress_timeout=0.5)
    opened = producer.open(exchange)
    stream_proxy.freeze()
    opened.send([notification(1)])

    with pytest.raises(BrokerUnavailableError, match=r"within 0\.5 s .*the publisher's sequence"):
        opened.flush()
    assert producer.accepted_id(exchange) is None


def test_a_deleted_stream_is_noticed_and_created_anew(
    make: Make, client: Client, exchange: str
) -> None:
    producer = make()
    producer.open(exchange)
    send_all(producer, exchange, range(1, 4))
    producer.flush(exchange)
    client.channel.queue_delete(exchange)

    with pytest.raises(NotAcceptedError, match="no such stream"):
        producer.wait(exchange, 20)
    producer.close(exchange)
    producer.open(exchange)
    send_all(producer, exchange, range(4, 7))
    producer.flush(exchange)

    assert [seen.event_id for seen in client.stream(exchange, 3)] == [4, 5, 6]


def test_an_idle_relay_notices_a_lost_connection(
    make: Make, stream_proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make(proxied)
    producer.open(exchange)
    stream_proxy.cut()

    with pytest.raises(BrokerUnavailableError, match="the connection was lost"):
        producer.wait(exchange, 20)


def test_an_idle_relay_notices_a_silent_broker(
    make: Make, stream_proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make(proxied, heartbeat=1)
    producer.open(exchange)
    stream_proxy.freeze()

    with pytest.raises(BrokerUnavailableError, match="did not answer in time"):
        producer.wait(exchange, 20)


def test_every_open_exchange_keeps_its_heartbeats(
    make: Make, client: Client, exchange: str
) -> None:
    producer = make(heartbeat=1)
    other = exchange + "-other"
    producer.open(exchange)
    producer.open(other)
    producer.wait(other, 3.5)
    send(producer, exchange, 1)
    producer.flush(exchange)

    assert [seen.event_id for seen in client.stream(exchange, 1)] == [1]


def test_who_leaves_a_stream_alone_no_longer_than_it_can_do_without_keeps_it(
    make: Make, client: Client, exchange: str
) -> None:
    idle = make(heartbeat=1).open(exchange)
    assert stay_idle(idle, 3.5)
    idle.send([notification(1)])
    idle.flush()

    assert [seen.event_id for seen in client.stream(exchange, 1)] == [1]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (NotificationMessage(b"x" * 1024 * 1024, "a/b", {}), "the broker takes frames of"),
        (NotificationMessage(b"", "text/ü", {}), "ASCII"),
        (NotificationMessage(b"", "a/b", {"occurred_on": ""}), "'occurred_on'"),
        (NotificationMessage(b"", "a/b", {"x": "\ud800"}), "not valid text"),
    ],
    ids=["too large", "content type", "our header", "no text"],
)
def test_what_a_stream_cannot_hold_is_refused_by_name_and_the_exchange_goes_on(
    make: Make, client: Client, exchange: str, *, message: NotificationMessage, reason: str
) -> None:
    producer = make()
    opened = producer.open(exchange)
    undeliverable = Notification(message, "T", 2, OCCURRED_ON)
    with pytest.raises(UndeliverableEventError, match=reason) as raised:
        opened.send([notification(1), undeliverable, notification(3)])
    opened.send([notification(3)])
    opened.flush()

    assert raised.value.event_id == 2
    assert "event 2 " in str(raised.value)
    assert [seen.event_id for seen in client.stream(exchange, 2)] == [1, 3]


def test_large_messages_among_small_ones_arrive_whole(
    make: Make, client: Client, exchange: str
) -> None:
    bodies = [b"s" * 40_000, b"s" * 40_000, b"s" * 40_000, b"l" * 1_040_000] * 2
    producer = make()
    producer.open(exchange)
    for event_id, body in enumerate(bodies, 1):
        send(producer, exchange, event_id, body)
    producer.flush(exchange)

    assert [seen.body for seen in client.stream(exchange, 8)] == bodies


def test_no_frame_is_larger_than_was_agreed(
    make: Make, client: Client, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[bytes] = []
    declare, send_bytes = PublishingConnection.declare, PublishingConnection.send_bytes

    def agree_and_declare(link: PublishingConnection, streams: Sequence[str]) -> None:
        declare(link, streams)
        link.frame_max = 2000
        frames.clear()

    def note_and_send(link: PublishingConnection, data: bytes) -> None:
        frames.append(data)
        send_bytes(link, data)

    # RabbitMQ 3.10 takes larger ones all the same: only looking at them shows a fault.
    monkeypatch.setattr(PublishingConnection, "declare", agree_and_declare)
    monkeypatch.setattr(PublishingConnection, "send_bytes", note_and_send)
    producer = make()
    producer.open(exchange)
    send_all(producer, exchange, range(1, 101))
    producer.flush(exchange)

    assert len(frames) > 1
    assert max(len(frame) for frame in frames) <= 2000
    assert [seen.event_id for seen in client.stream(exchange, 100)] == list(range(1, 101))


def test_failures_to_open_say_what_to_do(
    make: Make, rabbitmq: StreamBroker, client: Client, exchange: str
) -> None:
    client.channel.queue_declare(exchange)
    wrong = partial(url_of, rabbitmq)
    cases: list[tuple[type[DeliveryError], str, str]] = [
        (BrokerRefusedError, wrong(password=SecretStr("s3cr3t")), "refused the login"),
        (BrokerRefusedError, wrong(path="nowhere"), "refused the virtual host"),
        (BrokerRefusedError, wrong(), "a queue that is no stream has the name"),
        (BrokerUnavailableError, wrong(port=free_port()), "nothing listens there"),
        (BrokerUnavailableError, wrong(host="broker.invalid"), "cannot be found"),
    ]
    for kind, url, what in cases:
        producer = make(url)
        with pytest.raises(kind, match=what) as raised:
            producer.open(exchange)
        assert f"Exchange '{exchange}': RabbitMQ at " in str(raised.value)
        assert "s3cr3t" not in str(raised.value) + repr(producer.__dict__)


def test_a_missing_permission_is_refused(make: Make, rabbitmq: StreamBroker, exchange: str) -> None:
    rabbitmq.add_user(exchange, "pw", configure="^$", write=".*", read=".*")
    url = url_of(rabbitmq, user=exchange, password=SecretStr("pw"))

    with pytest.raises(BrokerRefusedError, match="refused access to the stream"):
        make(url).open(exchange)


def test_close_does_not_wait_for_a_silent_broker(
    make: Make, stream_proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    producer = make(proxied)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 101))
    stream_proxy.freeze()
    begin = time.monotonic()
    producer.close(exchange)
    producer.close(exchange)

    assert time.monotonic() - begin < 5


def test_a_subscriber_goes_on_where_it_stopped_and_another_begins_at_the_first(
    make: Make, rabbitmq: StreamBroker, exchange: str
) -> None:
    producer = make()
    producer.open(exchange)
    send_all(producer, exchange, range(1, 251))
    producer.flush(exchange)

    def read(subscriber: str, count: int) -> list[int]:
        consumer = RabbitMQStreamConsumer(settings(rabbitmq.stream_url), subscriber)
        consumer.open(exchange)
        ids = []
        for _ in range(count):
            message = consumer.receive(30)
            assert message is not None
            ids.append(int(message.message_id))
            consumer.acknowledge(message)
        consumer.close()
        return ids

    assert read("billing", 130) == list(range(1, 131))
    assert read("billing", 20) == list(range(131, 151))
    assert read("shipping", 10) == list(range(1, 11))
    assert read("billing", 100) == list(range(151, 251))


def test_many_chunks_are_read_to_the_last_without_a_pause(
    make: Make, rabbitmq: StreamBroker, exchange: str
) -> None:
    producer = make()
    producer.open(exchange)
    for event_id in range(1, 201):
        send(producer, exchange, event_id)
        producer.flush(exchange)  # a chunk of its own
    consumer = RabbitMQStreamConsumer(settings(rabbitmq.stream_url), "billing")
    consumer.open(exchange)
    received: list[int] = []
    while len(received) < 200:
        message = consumer.receive(30)
        assert message is not None
        received.append(int(message.message_id))
        consumer.acknowledge(message)
        if len(received) == 30:
            consumer.close()
            consumer.open(exchange)
    consumer.close()

    assert received == list(range(1, 201))


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError, match=r"rabbitmq-stream:// or rabbitmq-stream\+tls://"):
        settings("amqp://u:S3CR3T@h/")
    with pytest.raises(ValidationError, match=r"begin it with rabbitmq-stream\+tls://"):
        settings("rabbitmq-stream://h/", verify=False)
    address = settings("rabbitmq-stream+tls://u:p@h/shop").address

    assert (address.port, address.tls, address.virtual_host) == (5551, True, "shop")
    assert all(field.description for field in RabbitMQStreamSettings.model_fields.values())


def test_streams_do_not_need_pika(rabbitmq: StreamBroker, exchange: str) -> None:
    code = (
        "import sys, tidings_rabbitmq.stream.plugin as plugin\n"
        "assert not {'pika', 'rstream'} & set(sys.modules)\n"
        "spec, = plugin.tidings_backends()\n"
        "from tidings.plugins.kinds import PRODUCER\n"
        "from tidings.plugins.registry import PluginRegistry\n"
        f"settings = spec.settings(url={rabbitmq.stream_url!r})\n"
        "producer = PluginRegistry().build(PRODUCER, spec, settings)\n"
        f"producer.open({exchange!r})\n"
        f"producer.close({exchange!r})\n"
        "assert 'pika' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
