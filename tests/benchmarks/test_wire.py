"""The contenders of `wire` do the same work as the relay, in the same window."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pika
import pytest
import zmq
from benchmarks import stored
from benchmarks.measuring import Sample
from benchmarks.wire import amqp, librabbitmq, stream_client
from benchmarks.wire.backends import BACKENDS
from benchmarks.wire.bare_socket import push
from benchmarks.wire.pieces import pieces
from benchmarks.wire.zmq_client import Feed, Frame, Load
from rstream.amqp import amqp_decoder

from tests.benchmarks.conftest import EVENTS
from tests.benchmarks.gate import Gate
from tests.servers import ActiveMQ, RabbitMQ
from tests.servers.given import missing
from tidings.plugins import Position
from tidings_rabbitmq.pipeline import PIECE_BYTES, PIECE_MESSAGES, WINDOW_BYTES
from tidings_rabbitmq.stream.messages import StreamMessageEncoder
from tidings_zeromq import Subscriber
from tidings_zeromq.event_wire import encode_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidings.plugins import ReceivedMessage


def held(url: str, exchange_name: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Read every property and body of an exchange's queue."""
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        while True:
            _, properties, body = channel.basic_get(exchange_name, auto_ack=True)
            if properties is None:
                return
            yield vars(properties), body


def received(
    backend: str, database_url: str, exchange_name: str, settings: dict[str, Any]
) -> list[tuple[object, ...]]:
    """Read what the exchange's subscriber is given."""
    with stored.configured(database_url, [exchange_name], backend, settings) as tidings:
        consumer = tidings.consumer(exchange_name)
        consumer.open(exchange_name)
        found = [consumer.receive(30) for _ in range(EVENTS)]
        consumer.close()
    return [_content(message) for message in found if message is not None]


def _content(message: ReceivedMessage) -> tuple[object, ...]:
    return (
        *(message.message_id, message.type_name, message.occurred_on),
        *(message.body, message.content_type, dict(message.headers)),
    )


@pytest.mark.parametrize("backend", ["rabbitmq", "rabbitmq-stream", "activemq"])
def test_every_contender_publishes_the_very_messages_of_the_relay(
    backend: str, filled_url: str
) -> None:
    needs(ActiveMQ if backend == "activemq" else RabbitMQ)
    with BACKENDS[backend]() as given:
        contenders = {"relay": partial(given.relay, warm_up=1)}
        contenders |= {
            name: partial(job, count=EVENTS)
            for name, job in (*given.others.items(), *given.usual.items())
        }
        settings = given.relay.keywords["settings"]
        arrived: dict[str, list[Any]] = {}
        for number, (name, job) in enumerate(contenders.items()):
            exchange_name = f"exchange-{number}"
            with job(exchange_name, database_url=filled_url) as work:
                work()
            arrived[name] = (
                list(held(settings["url"], exchange_name))
                if backend == "rabbitmq"
                else received(backend, filled_url, exchange_name, settings)
            )

    relayed = arrived.pop("relay")
    assert len(relayed) == EVENTS
    assert len(arrived) + len(given.absent) == (3 if backend == "rabbitmq" else 2)
    for name, messages in arrived.items():
        assert messages == relayed, name


def test_rstream_sends_what_the_relay_sends_to_a_stream(filled_url: str) -> None:
    encoder = StreamMessageEncoder(stream_client.APP_ID, Position())

    for event, message in stored.messages(filled_url, EVENTS):
        encoded = encoder.encode(message, event.type_name, event.event_id, event.occurred_on)
        ours = amqp_decoder(encoded)
        theirs = amqp_decoder(bytes(stream_client.usual_message(event, message)))
        assert theirs.properties == ours.properties
        assert theirs.application_properties == ours.application_properties
        assert theirs.message_annotations == ours.message_annotations
        assert theirs.body == ours.body


@pytest.mark.parametrize("contender", ["relay", "bare socket", "librabbitmq"])
@pytest.mark.parametrize("window", [1, 10])
def test_the_same_window_of_unconfirmed_messages_is_in_flight_with_every_contender(
    contender: str, window: int, program: Path, rabbitmq: RabbitMQ, filled_url: str
) -> None:
    with Gate(rabbitmq.url, window) as gate:
        common: dict[str, Any] = {"url": gate.url, "window": window}
        jobs: dict[str, partial[Any]] = {
            "relay": partial(
                stored.relaying, producer="rabbitmq", settings=common, warm_up=EVENTS - 20
            ),
            "bare socket": partial(amqp.bare, **common, count=20),
            "librabbitmq": partial(librabbitmq.publishing, program=program, **common, count=20),
        }
        name = f"window-{window}-{contender.replace(' ', '-')}"
        with (
            jobs[contender](name, database_url=filled_url) as work,
            ThreadPoolExecutor() as pool,
        ):
            gate.arm()
            done = pool.submit(work)
            try:
                assert gate.limit_reached.wait(30)
                assert not gate.limit_passed.wait(0.3)
            finally:
                gate.open()
            result = done.result(30)
        amqp.delete(rabbitmq.url, name)

    assert (result.events if isinstance(result, Sample) else result) == 20


def test_no_more_bytes_are_in_flight_from_the_bare_client_than_from_the_relay() -> None:
    piece = bytes(2**20)
    pieces_in_window = WINDOW_BYTES // len(piece)
    ours, theirs = socket.socketpair()
    received = confirmed = most = 0

    def broker() -> None:
        """Confirm a piece whenever nothing more comes."""
        nonlocal received, confirmed, most
        theirs.settimeout(0.2)
        while confirmed < 2 * pieces_in_window:
            try:
                received += len(theirs.recv(2**20))
                most = max(most, received - confirmed * len(piece))
            except TimeoutError:
                confirmed += pieces_in_window
                theirs.sendall(bytes(pieces_in_window))

    def take(answers: bytearray) -> int:
        count = len(answers)
        answers.clear()
        return count

    with ours, theirs, ThreadPoolExecutor() as pool:
        ours.setblocking(False)
        at_work = pool.submit(broker)
        assert push(ours, [(piece, 1)] * 2 * pieces_in_window, 1000, take) == 2 * pieces_in_window
        at_work.result(30)
    assert most == WINDOW_BYTES


def test_messages_are_put_together_as_the_relay_does() -> None:
    def sizes(count: int, size: int, window: int) -> list[int]:
        return [len(piece) for piece in pieces([b"x" * size] * count, window)]

    assert sizes(2 * PIECE_MESSAGES + 1, 1, 100_000) == [PIECE_MESSAGES, PIECE_MESSAGES, 1]
    assert sizes(5, PIECE_BYTES // 2, 100_000) == [2, 2, 1]
    assert sizes(2, 10 * PIECE_BYTES, 100_000) == [1, 1]
    assert sizes(4, 1, 2) == [1, 1, 1, 1], "no piece is larger than the window"
    assert sizes(4, 1, 1) == [1, 1, 1, 1]


def test_no_more_zeromq_frames_are_in_flight_than_the_relay_would_have() -> None:
    frames = [Frame(b"1234567890", 10 * n, 10 * n + 10, 10) for n in range(5)]

    by_events, by_bytes = Load(frames, 20, 1000), Load(frames, 1000, 20)

    for load in (by_events, by_bytes):
        assert [load.has_room(sent, 1) for sent in range(1, 5)] == [True, True, False, False]
    assert by_events.events == 50


def test_a_subscriber_that_begins_anew_still_gets_every_event_of_the_bare_client(
    filled_url: str,
) -> None:
    encoded = [
        encode_event(message, event.type_name, event.event_id, event.occurred_on)
        for event, message in stored.messages(filled_url, EVENTS)
    ]
    frames = [Frame(b"".join(encoded[n : n + 5]), n, n + 5, 5) for n in range(0, EVENTS, 5)]
    ids: list[int] = []

    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        thread = threading.Thread(target=_read_in_two_parts, args=(port, ids))
        thread.start()
        feed = Feed(socket, Load(frames, 10, 1_000_000))
        feed.hear()
        assert feed.push() == EVENTS
        thread.join(30)

    assert ids == list(range(1, EVENTS + 1))


def _read_in_two_parts(port: int, ids: list[int]) -> None:
    for count in (12, EVENTS - 12):
        with Subscriber(
            connect=f"tcp://127.0.0.1:{port}",
            exchange_name="exchange",
            name="app",
            last_id=len(ids),
        ) as subscriber:
            for _ in range(count):
                message = subscriber.receive(30)
                assert message is not None
                subscriber.acknowledge(message)
                ids.append(int(message.message_id))


def needs(server: type[RabbitMQ | ActiveMQ]) -> None:
    if reason := server.available():
        missing(reason)
