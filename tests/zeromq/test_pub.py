"""The lossy word: what it does deliver, and that it says what it does not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq
from pydantic import SecretStr

from tests.servers.process import free_port
from tests.zeromq.events import EXCHANGE, event
from tests.zeromq.names import needs_names, run_with_names
from tidings.plugins import (
    BrokerUnavailableError,
    ExchangeLockedError,
    KeyPatterns,
    UndeliverableEventError,
)
from tidings.testing import eventually
from tidings_zeromq.pub import sub_socket
from tidings_zeromq.pub.consumer import ZeroMQPubConsumer, beginnings
from tidings_zeromq.pub.frames import encode
from tidings_zeromq.pub.producer import ZeroMQPubProducer
from tidings_zeromq.pub.settings import ZeroMQPubSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.plugins import ReceivedMessage


@pytest.fixture
def settings(address: str) -> ZeroMQPubSettings:
    return ZeroMQPubSettings(bind=address)


@pytest.fixture
def producer(settings: ZeroMQPubSettings) -> Iterator[ZeroMQPubProducer]:
    producer = ZeroMQPubProducer(settings)
    producer.open(EXCHANGE)
    yield producer
    producer.close(EXCHANGE)


@pytest.fixture
def consumer(settings: ZeroMQPubSettings) -> Iterator[ZeroMQPubConsumer]:
    consumer = ZeroMQPubConsumer(settings)
    consumer.open(EXCHANGE)
    yield consumer
    consumer.close()


def _send_until_heard(producer: ZeroMQPubProducer, consumer: ZeroMQPubConsumer) -> None:
    def heard() -> bool:
        producer.send(EXCHANGE, *event(1))
        producer.wait(EXCHANGE, 0.02)
        return consumer.receive(0.02) is not None

    eventually(heard, "the subscription", 60)
    while consumer.receive(0.2):
        pass


def _receive(consumer: ZeroMQPubConsumer) -> ReceivedMessage:
    message = consumer.receive(5)
    assert message is not None
    return message


def test_who_listens_gets_everything_in_order(
    producer: ZeroMQPubProducer, consumer: ZeroMQPubConsumer
) -> None:
    _send_until_heard(producer, consumer)
    for event_id in range(2, 1002):
        producer.send(EXCHANGE, *event(event_id))
    producer.flush(EXCHANGE)
    received = [_receive(consumer) for _ in range(1000)]

    assert [int(message.message_id) for message in received] == list(range(2, 1002))
    assert producer.accepted_id(EXCHANGE) == 1001
    first, sent = received[0], event(2)
    assert (first.type_name, first.body) == (sent.type_name, sent.message.body)
    assert (first.occurred_on, first.headers) == (sent.occurred_on, sent.message.headers)
    assert first.content_type == sent.message.content_type


def test_the_topic_is_the_type_name_and_the_frames_are_plain(
    producer: ZeroMQPubProducer, address: str
) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(b"OrderShipped")
        subscriber.connect(address)

        def heard() -> bool:
            producer.send(EXCHANGE, *event(1))
            producer.send(EXCHANGE, *event(2)._replace(type_name="OrderShipped"))
            return bool(subscriber.poll(50))

        eventually(heard, "the subscription", 60)
        frames = subscriber.recv_multipart()

    assert frames == [
        b"OrderShipped",
        b"2",
        b"2026-01-02T03:04:05.000008+00:00",
        b"application/json",
        b'{"aggregate_id": "order-2"}',
        b'{"number":2}',
    ]


def test_who_selects_routing_keys_is_sent_what_begins_so_and_gets_what_it_asked_for(
    producer: ZeroMQPubProducer, settings: ZeroMQPubSettings
) -> None:
    keys = ["shop.paid", "shop", "shopping", "bill.paid", "bill.paid.late", "", "shop.paid"]

    def send(event_id: int, key: str) -> None:
        whole = event(event_id)
        message = whole.message._replace(routing_key=key)
        producer.send(EXCHANGE, *whole._replace(message=message))

    consumer = ZeroMQPubConsumer(settings)
    consumer.select(["shop.#", "*.paid.late"])
    consumer.open(EXCHANGE)

    def heard() -> bool:
        send(1, "shop")
        return consumer.receive(0.02) is not None

    eventually(heard, "the subscription")
    while consumer.receive(0.2):
        pass
    for event_id, key in enumerate(keys, 2):
        send(event_id, key)
    found = [_receive(consumer) for _ in range(4)]
    consumer.close()

    assert [each.message_id for each in found] == ["2", "3", "6", "8"]
    assert [each.routing_key for each in found] == [keys[0], keys[1], keys[4], keys[6]]
    assert found[0].type_name == event(2).type_name
    assert found[0].headers == event(2).message.headers


@pytest.mark.parametrize(
    ("pattern", "beginning"),
    [
        ("a.b", "a.b"),
        ("a.*", "a."),
        ("a.#", "a"),
        ("#", ""),
        ("*.a", ""),
        ("a.*.b", "a."),
        ("", ""),
    ],
)
def test_a_pattern_is_asked_for_by_what_its_keys_begin_with(pattern: str, beginning: str) -> None:
    assert beginnings(KeyPatterns([pattern])) == [beginning]


def test_the_topic_is_the_routing_key_for_a_subscriber_in_any_language() -> None:
    message = event(1).message._replace(routing_key="shop.paid")

    topic, _, _, _, headers, _ = encode(message, "OrderPaid", 1, event(1).occurred_on)

    assert topic == b"shop.paid"
    assert json.loads(headers) == {"aggregate_id": "order-1", "tidings.type_name": "OrderPaid"}


def connections(port: int) -> Iterator[socket.socket]:
    """Give copies of this process's ends of the connections to and from that port."""
    for entry in filter(Path.is_socket, Path("/proc/self/fd").iterdir()):
        with suppress(OSError, LookupError), socket.socket(fileno=os.dup(int(entry.name))) as found:
            if port in (found.getsockname()[1], found.getpeername()[1]):
                yield found


def test_who_is_gone_without_a_word_is_given_up_after_three_heartbeats() -> None:
    port = free_port()
    settings = ZeroMQPubSettings(bind=f"tcp://127.0.0.1:{port}", heartbeat=2)
    producer, consumer = ZeroMQPubProducer(settings), ZeroMQPubConsumer(settings)
    producer.open(EXCHANGE)
    consumer.open(EXCHANGE)
    _send_until_heard(producer, consumer)
    wanted = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    found = [
        [each.getsockopt(socket.IPPROTO_TCP, option) for option in wanted]
        for each in connections(port)
    ]
    consumer.close()
    producer.close(EXCHANGE)

    assert found == [[2, 2, 2]] * 2  # two hours otherwise


def test_nobody_listening_is_no_error(producer: ZeroMQPubProducer) -> None:
    producer.send(EXCHANGE, *event(1))
    producer.flush(EXCHANGE)

    assert producer.accepted_id(EXCHANGE) == 1


def test_an_event_that_cannot_be_encoded_leaves_the_exchange_usable(
    producer: ZeroMQPubProducer, consumer: ZeroMQPubConsumer
) -> None:
    producer.close(EXCHANGE)
    opened = producer.open(EXCHANGE)
    _send_until_heard(producer, consumer)
    with pytest.raises(UndeliverableEventError, match="event 3"):
        opened.send([event(2), event(3)._replace(type_name="\ud800"), event(4)])
    assert opened.accepted_id() == 2
    opened.send([event(4)])

    assert [_receive(consumer).message_id for _ in range(2)] == ["2", "4"]


def test_a_taken_address_is_an_error(
    producer: ZeroMQPubProducer, settings: ZeroMQPubSettings
) -> None:
    second = ZeroMQPubProducer(settings)
    with pytest.raises(ExchangeLockedError, match="is taken"):
        second.open("other")
    second.close("other")


def test_it_can_be_opened_again(producer: ZeroMQPubProducer, consumer: ZeroMQPubConsumer) -> None:
    producer.send(EXCHANGE, *event(1))
    producer.close(EXCHANGE)
    producer.open(EXCHANGE)
    assert producer.accepted_id(EXCHANGE) is None

    _send_until_heard(producer, consumer)


def test_rubbish_is_passed_over(settings: ZeroMQPubSettings, consumer: ZeroMQPubConsumer) -> None:
    good = [b"T", b"7", b"2026-01-02T03:04:05+00:00", b"", b"{}", b""]
    bad = [[b""], [b"T", b"x", *good[2:]], [*good[:4], b"[]", b""], [*good[:2], b"now", *good[3:]]]
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.linger = 0
        publisher.bind(settings.bind)
        received: list[ReceivedMessage] = []

        def heard() -> bool:
            for frames in [*bad, good]:
                publisher.send_multipart(frames)
            message = consumer.receive(0.05)
            received.extend([message] if message else [])
            return len(received) > 1

        eventually(heard, "the good ones", 60)

    assert {message.message_id for message in received} == {"7"}


def test_an_encrypted_subscriber_is_served_and_a_stranger_is_not(address: str) -> None:
    relay_public, relay_secret = (key.decode() for key in zmq.curve_keypair())
    public, secret = (key.decode() for key in zmq.curve_keypair())
    _, stranger_secret = (key.decode() for key in zmq.curve_keypair())
    settings = ZeroMQPubSettings(
        bind=address, curve_secret_key=SecretStr(relay_secret), curve_clients=[public]
    )
    producer = ZeroMQPubProducer(settings)
    producer.open(EXCHANGE)
    consumers = [
        ZeroMQPubConsumer(
            ZeroMQPubSettings(
                bind=address,
                curve_public_key=relay_public,
                curve_client_secret_key=SecretStr(key),
            )
        )
        for key in (stranger_secret, secret)
    ]
    stranger, friend = consumers
    try:
        for each in consumers:
            each.open(EXCHANGE)
        _send_until_heard(producer, friend)
        assert stranger.receive(0.2) is None
    finally:
        for each in consumers:
            each.close()
        producer.close(EXCHANGE)


def test_finding_the_plugins_imports_no_zmq() -> None:
    code = (
        "import sys, tidings_zeromq, tidings_zeromq.plugin, tidings_zeromq.pub.plugin\n"
        "list(tidings_zeromq.plugin.tidings_backends())\n"
        "list(tidings_zeromq.pub.plugin.tidings_backends())\n"
        "sys.exit('zmq' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


WITH_NAMES = """
import sys
from tests.zeromq.events import EXCHANGE, event
from tidings.testing import eventually
from tidings_zeromq.pub import sub_socket as module
from tidings_zeromq.pub.consumer import ZeroMQPubConsumer
from tidings_zeromq.pub.producer import ZeroMQPubProducer
from tidings_zeromq.pub.settings import ZeroMQPubSettings

module.SWITCH_SECONDS = 0.2
bind, connect = sys.argv[1:]
consumer = ZeroMQPubConsumer(ZeroMQPubSettings(bind=bind, connect=connect))
consumer.open(EXCHANGE)
consumer.receive(0.5)
for _ in range(2):
    producer = ZeroMQPubProducer(ZeroMQPubSettings(bind=bind))
    producer.open(EXCHANGE)

    def heard():
        producer.send(EXCHANGE, *event(1))
        return consumer.receive(0.05)

    eventually(heard, "the subscription", 20)
    producer.send(EXCHANGE, *event(2))
    while (came := consumer.receive(20).message_id) == "1":
        pass
    print(came, consumer.receive(0.5))
    producer.close(EXCHANGE)
consumer.close()
"""


@needs_names
@pytest.mark.parametrize("bind", ["tcp://[::1]:{}", "tcp://127.0.0.1:{}", "tcp://*:{}"])
def test_a_name_of_both_versions_of_ip_is_reached_wherever_the_relay_listens(
    tmp_path: Path, bind: str
) -> None:
    port = free_port()

    found = run_with_names(tmp_path, WITH_NAMES, bind.format(port), f"tcp://both.test:{port}")

    assert found.stdout == "2 None\n2 None\n", found.stderr


CONNECTED_TOO_LATE = """
import sys
import zmq
from tidings_zeromq.pub import sub_socket as module

told = []


class TellsLater:
    # The handshake is over, and the consumer hears of it only after it gave the connection up.
    def __init__(self, monitor):
        self._monitor = monitor
        self._looks = 0

    def poll(self, timeout):
        self._looks += 1
        if self._looks == 1:
            told.append(self._monitor.poll(10_000))
            return 0
        return self._monitor.poll(timeout)

    def __getattr__(self, name):
        return getattr(self._monitor, name)


module.SWITCH_SECONDS = 0.2
address = sys.argv[1]
publisher = zmq.Context.instance().socket(zmq.XPUB)
publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
publisher.ipv6 = True
publisher.bind(address.replace("both.test", "[::1]"))
socket = module.SubSocket(address, [True, False], lambda socket: socket.subscribe(b""))
socket._monitor = TellsLater(socket._monitor)
while not told:
    socket.receive(0.3)
print("told too late" if all(told) else "not told")
while not publisher.poll(0) or publisher.recv() != b"\\x00":
    socket.receive(0.05)
while not publisher.poll(0) or publisher.recv() != b"\\x01":
    socket.receive(0.05)
publisher.send(b"again")
print(socket.receive(10))
socket.close()
publisher.close(linger=0)
"""


@needs_names
def test_a_connection_that_was_given_up_is_not_taken_for_the_one_to_the_hosts_other_address(
    tmp_path: Path,
) -> None:
    found = run_with_names(tmp_path, CONNECTED_TOO_LATE, f"tcp://both.test:{free_port()}")

    assert found.stdout == "told too late\n[b'again']\n", found.stderr


def test_a_consumer_that_gets_no_second_socket_goes_on_with_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new_context = zmq.Context

    def small_context() -> zmq.Context[zmq.Socket[bytes]]:
        context = new_context()
        context.set(zmq.MAX_SOCKETS, 4)  # one, and the two of its monitor
        return context

    address = f"tcp://127.0.0.1:{free_port()}"
    with zmq.Context() as others, others.socket(zmq.XPUB) as publisher:
        monkeypatch.setattr(sub_socket, "SWITCH_SECONDS", 0.1)
        monkeypatch.setattr(zmq, "Context", small_context)
        socket = sub_socket.SubSocket(address, [False, True], lambda each: each.subscribe(b""))
        for _ in range(5):
            assert socket.receive(0.2) is None
        publisher.bind(address)
        eventually(lambda: socket.receive(0.05) or publisher.poll(0), "the subscription", 20)
        publisher.send(b"1")

        assert socket.receive(20) == [b"1"]
        socket.close()


def test_a_consumer_that_could_not_be_opened_may_be_opened_again() -> None:
    consumer = ZeroMQPubConsumer(ZeroMQPubSettings(connect="tcp://nobody.invalid:5571"))

    for _ in range(2):
        with pytest.raises(BrokerUnavailableError, match="is not known"):
            consumer.open(EXCHANGE)
