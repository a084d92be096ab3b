"""ZeroMQ: bare sockets with an acknowledging subscriber, and a reply for each message."""

from __future__ import annotations

import multiprocessing
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zmq
from tests.servers import free_port

from benchmarks.stored import messages, relaying
from tidings_zeromq import Subscriber
from tidings_zeromq.wire import encode_event, encode_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SUBSCRIBER = "app"
ACKNOWLEDGE_EVERY = 100
_COUNT = struct.Struct("!Q")


@contextmanager
def relay(
    exchange_name: str, *, database_url: str, settings: Mapping[str, Any]
) -> Iterator[Callable[[], int]]:
    """Relay to a `tidings_zeromq.Subscriber` in another process, which acknowledges."""
    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        _beside(_subscribe, address, exchange_name),
        relaying(exchange_name, database_url, "zeromq", {**settings, "bind": address}) as work,
    ):
        yield work


@contextmanager
def bare(
    _exchange_name: str, *, database_url: str, count: int, window: int, together: int
) -> Iterator[Callable[[], int]]:
    """Push frames of ``together`` events, encoded beforehand; the subscriber only counts them."""
    encoded = [
        encode_event(message, event.type_name, event.event_id, event.occurred_on)
        for event, message in messages(database_url, count)
    ]
    frames = [
        encode_events(1, start, encoded[start : start + together])
        for start in range(0, count, together)
    ]
    with _socket(zmq.DEALER) as (socket, address), _beside(_count, address, together):
        socket.recv()  # the subscriber is there

        def work() -> int:
            sent = acknowledged = 0
            for frame in frames:
                # One frame may pass the window, so that frames of any size do.
                while (sent - acknowledged) * together >= window or socket.poll(0):
                    (acknowledged,) = _COUNT.unpack(socket.recv())
                socket.send(frame)
                sent += 1
            while acknowledged < sent:
                (acknowledged,) = _COUNT.unpack(socket.recv())
            return count

        yield work


@contextmanager
def blocking(_exchange_name: str, *, database_url: str, count: int) -> Iterator[Callable[[], int]]:
    """Send with REQ and wait for each message's reply."""
    encoded = [
        encode_event(message, event.type_name, event.event_id, event.occurred_on)
        for event, message in messages(database_url, count)
    ]
    with _socket(zmq.REQ) as (socket, address), _beside(_reply, address):

        def send(frame: bytes) -> None:
            socket.send(frame)
            socket.recv()

        send(encoded[0])  # the subscriber is there

        def work() -> int:
            for frame in encoded:
                send(frame)
            return count

        yield work


@contextmanager
def _socket(kind: int) -> Iterator[tuple[zmq.Socket[bytes], str]]:
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        yield socket, f"tcp://127.0.0.1:{port}"


@contextmanager
def _beside(function: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Run ``function`` in another process, until the end of the ``with``."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _subscribe(address: str, exchange_name: str) -> None:
    with Subscriber(
        connect=address, exchange_name=exchange_name, name=SUBSCRIBER, last_id=0
    ) as subscriber:
        for message in subscriber:
            subscriber.acknowledge(message)


def _count(address: str, together: int) -> None:
    received = 0
    every = max(ACKNOWLEDGE_EVERY // together, 1)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.sndhwm = socket.rcvhwm = 0
        socket.connect(address)
        socket.send(b"here")
        while True:
            try:
                socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                socket.send(_COUNT.pack(received))
                socket.recv()
            received += 1
            if received % every == 0:
                socket.send(_COUNT.pack(received))


def _reply(address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        socket.connect(address)
        while True:
            socket.recv()
            socket.send(b"")
