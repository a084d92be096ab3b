"""Peers that talk nonsense: they harm nobody but themselves."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import pytest
import zmq

from tests.servers.process import free_port
from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.plugins import MAX_EVENT_ID, BrokerRefusedError
from tidings.testing import eventually
from tidings_zeromq import Subscriber
from tidings_zeromq.event_wire import decode_event, encode_event
from tidings_zeromq.subscriber_socket import SubscriberSocket
from tidings_zeromq.wire import (
    FIRST_EVENT,
    NO_ID,
    Request,
    decode_head,
    decode_request,
    encode_beginning,
    encode_events,
    encode_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.zeromq.conftest import MakeRelay

Dealer = zmq.Socket[bytes]


@pytest.fixture
def dealer() -> Iterator[Dealer]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        yield dealer


def rubbish(chance: random.Random) -> list[bytes]:
    frames = [chance.randbytes(chance.choice([0, 1, 17, 28, 100])) for _ in range(3)]
    frames[0] = chance.choice([b"", b"t1", b"t1" + bytes(26), b"E", b"B", frames[0]])
    return frames[: chance.choice([1, 1, 2, 3])]


def test_rubbish_sent_to_the_relay_does_no_harm(make_relay: MakeRelay, dealer: Dealer) -> None:
    relay = make_relay()
    relay.open()
    dealer.connect(relay.address)
    chance = random.Random(1)  # noqa: S311 - the same rubbish each time
    for _ in range(3000):
        dealer.send_multipart(rubbish(chance))
    with Reader(relay.address) as app:
        relay.send(*range(1, 101))
        relay.flush()

    assert app.ids == list(range(1, 101))


def test_a_request_larger_than_any_ends_only_its_senders_connection(
    make_relay: MakeRelay, dealer: Dealer
) -> None:
    relay = make_relay()
    relay.open()
    with dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
        dealer.connect(relay.address)
        dealer.send(b"t1" + bytes(10_000_000))
        assert monitor.poll(5000)
        dealer.disable_monitor()
    with Reader(relay.address) as app:
        relay.send(1)
        relay.flush()

    assert app.ids == [1]


@pytest.mark.parametrize("said", [MAX_EVENT_ID, 11])
def test_an_acknowledgement_of_what_was_never_sent_is_not_believed(
    make_relay: MakeRelay, dealer: Dealer, said: int
) -> None:
    relay = make_relay(Store(range(1, 11)))
    relay.open(position=5)
    dealer.connect(relay.address)
    dealer.send(encode_request(Request(1, 5, 5, "app", EXCHANGE)))
    relay.send(*range(6, 11))
    relay.wait_until(lambda: bool(dealer.poll(0)), "the feed to begin")
    dealer.send(encode_request(Request(1, said, said, "app", EXCHANGE)))
    relay.producer.wait(EXCHANGE, 0.3)
    assert relay.accepted_id is None

    dealer.send(encode_request(Request(2, said, said, "app", EXCHANGE)))
    relay.producer.wait(EXCHANGE, 0.3)
    assert relay.accepted_id is None


def ids_in(frame: bytes) -> Iterator[int]:
    place = FIRST_EVENT if decode_head(frame).has_events else len(frame)
    while place < len(frame):
        message, place = decode_event(frame, place)
        yield int(message.message_id)


def test_a_peer_that_never_reads_fills_no_memory(make_relay: MakeRelay, dealer: Dealer) -> None:
    relay = make_relay(Store(range(1, 5001)), window=100)
    relay.open()
    dealer.rcvhwm = 1
    dealer.connect(relay.address)
    dealer.send(encode_request(Request(1, 0, 0, "idle", EXCHANGE)))
    relay.wait_until(lambda: relay.opened.connected() == ["idle"], "the idle peer")
    with Reader(relay.address) as app:
        relay.send(*range(1, 5001))
        relay.flush()
    in_flight: list[int] = []

    def read() -> bool:
        frame = dealer.recv() if dealer.poll(0) else b""
        in_flight.extend(ids_in(frame) if frame else ())
        return not frame and len(in_flight) >= 100

    relay.wait_until(read, "what was in flight")
    assert in_flight == list(range(1, 101))
    assert app.ids == list(range(1, 5001))


class FakeRelay:
    """A ROUTER that answers each request with whatever the test says."""

    def __init__(self, answer: Callable[[Request], list[list[bytes]]]) -> None:
        self.requests: list[Request] = []
        self._answer = answer
        self._stop = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._router.close()
        self._context.term()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if self._router.poll(50):
                connection, frame = self._router.recv_multipart()
                request = decode_request(frame)
                self.requests.append(request)
                for frames in self._answer(request):
                    self._router.send_multipart([connection, *frames])


def honest(request: Request, *ids: int, start: int = 0) -> list[list[bytes]]:
    previous = start if request.last_id == NO_ID else request.last_id
    events = [encode_event(*event(each)) for each in ids if each > previous]
    frames = [[encode_beginning(request.nonce, previous)]]
    return [*frames, [encode_events(request.nonce, previous, events)]] if events else frames


def test_rubbish_sent_to_a_subscriber_does_no_harm() -> None:
    chance = random.Random(2)  # noqa: S311 - the same rubbish each time

    def answer(request: Request) -> list[list[bytes]]:
        nonsense = [rubbish(chance) for _ in range(500)]
        nonsense += [
            [struct.pack("!cQq", b"E", request.nonce, request.last_id) + rubbish(chance)[0]]
            for _ in range(500)
        ]
        return [*nonsense, *honest(request, 1, 2, 3), *nonsense]

    with FakeRelay(answer) as relay, Reader(relay.address, last_id=0) as app:
        app.wait_for(3)

    assert app.ids == [1, 2, 3]
    assert app.error is None


def test_a_hole_is_asked_for_again() -> None:
    lost = iter([True])

    def answer(request: Request) -> list[list[bytes]]:
        if next(lost, False):
            event_3 = encode_events(request.nonce, 2, [encode_event(*event(3))])
            return [*honest(request, 1), [event_3]]
        return honest(request, 1, 2, 3)

    with FakeRelay(answer) as relay, Reader(relay.address, last_id=0) as app:
        app.wait_for(3)

    assert app.ids == [1, 2, 3]
    assert relay.requests[-1].last_id >= 1


def test_silence_is_asked_about() -> None:
    answers: Iterator[list[list[bytes]]] = iter([[], []])

    def answer(request: Request) -> list[list[bytes]]:
        return next(answers, honest(request, 1))

    with FakeRelay(answer) as relay, Reader(relay.address, last_id=0) as app:
        app.wait_for(1)

    assert app.ids == [1]
    assert len({request.nonce for request in relay.requests}) >= 3


def test_receive_keeps_to_its_timeout_while_rubbish_pours_in() -> None:
    def answer(request: Request) -> list[list[bytes]]:
        return [[b"rubbish"]] * 20_000

    with (
        FakeRelay(answer) as relay,
        Subscriber(connect=relay.address, exchange_name=EXCHANGE, name="app") as subscriber,
    ):
        begun = time.monotonic()
        assert subscriber.receive(0.3) is None
        assert time.monotonic() - begun < 5


def test_what_is_no_zeromq_is_named_and_a_relay_in_its_place_is_found(
    make_relay: MakeRelay,
) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with _other_program(address), Reader(address) as app:
        eventually(lambda: app.error is not None, "the subscriber to be told", 60)
    assert isinstance(app.error, BrokerRefusedError)
    assert "or be no relay" in str(app.error)
    relay = make_relay(bind=address)
    relay.open()
    relay.send(1)
    with Reader(address) as again:
        relay.flush()

    assert again.ids == [1]


def test_a_connection_that_libzmq_has_given_up_is_made_anew(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings_zeromq.contact.RENEW_SECONDS", 0.2)
    made: list[str] = []

    def make(address: str, *arguments: Any, **options: Any) -> SubscriberSocket:
        made.append(address)
        return SubscriberSocket(address, *arguments, **options)

    monkeypatch.setattr("tidings_zeromq.contact.SubscriberSocket", make)
    relay = make_relay()
    relay.open()
    relay.send(1)
    with Reader(relay.address) as app:
        relay.flush()
        relay.close()
        eventually(lambda: len(made) > 1, "a new connection", 60)
        relay.open(position=1)
        relay.send(2)
        relay.flush()

    assert app.ids == [1, 2]


@contextmanager
def _other_program(address: str) -> Iterator[None]:
    server = socket.create_server(("127.0.0.1", int(address.rpartition(":")[2])))

    def talk_http() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 4)

    thread = threading.Thread(target=talk_http)
    thread.start()
    yield
    server.shutdown(socket.SHUT_RDWR)
    thread.join()
    server.close()
