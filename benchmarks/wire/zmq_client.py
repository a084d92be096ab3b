"""ZeroMQ: bare sockets with an acknowledging subscriber, and a reply for each message."""

from __future__ import annotations

import multiprocessing
import struct
import sys
from bisect import bisect_right
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import zmq
from tests.servers import free_port

from benchmarks.stored import messages, relaying
from tidings_zeromq import Subscriber
from tidings_zeromq.event_wire import encode_event
from tidings_zeromq.recent_events import RecentEvents
from tidings_zeromq.selection import traits_of
from tidings_zeromq.supply import FRAME_BYTES, FRAME_EVENTS
from tidings_zeromq.wire import decode_request, encode_beginning, encode_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SUBSCRIBER = "app"
ACKNOWLEDGE_EVERY = 100
_COUNT = struct.Struct("!Q")


class Frame(NamedTuple):
    """Encoded events that are sent as one message."""

    data: bytes
    previous_id: int
    last_id: int
    event_count: int


class Load:
    """Frames to be sent, and how many of them may be in flight.

    A frame may pass the limits if those before it don't, as with the relay; so any fits.
    """

    def __init__(self, frames: Sequence[Frame], window: int, window_bytes: int) -> None:
        self.frames = frames
        self._window, self._window_bytes = window, window_bytes
        self._events = [0, *accumulate(frame.event_count for frame in frames)]
        self._bytes = [0, *accumulate(len(frame.data) for frame in frames)]

    @property
    def events(self) -> int:
        """How many events there are."""
        return self._events[-1]

    def has_room(self, sent: int, acknowledged: int) -> bool:
        """Say whether one more frame may be sent."""
        return (
            self._events[sent] - self._events[acknowledged] < self._window
            and self._bytes[sent] - self._bytes[acknowledged] < self._window_bytes
        )


@contextmanager
def relay(
    exchange_name: str, *, database_url: str, settings: Mapping[str, Any], warm_up: int
) -> Iterator[Callable[[], int]]:
    """Relay to a `tidings_zeromq.Subscriber` in another process, which acknowledges."""
    address = f"tcp://127.0.0.1:{free_port()}"
    everything = {**settings, "bind": address}
    with (
        _beside(_subscribe, address, exchange_name),
        relaying(exchange_name, database_url, "zeromq", everything, warm_up=warm_up) as work,
    ):
        yield work


@contextmanager
def decoded(
    exchange_name: str, *, database_url: str, count: int, window: int, window_bytes: int
) -> Iterator[Callable[[], int]]:
    """Push what was encoded beforehand to the subscriber that the relay has in :func:`relay`."""
    load = Load(_frames(database_url, count, FRAME_EVENTS), window, window_bytes)
    with (
        _socket(zmq.ROUTER) as (socket, address),
        _beside(_subscribe, address, exchange_name),
    ):
        feed = Feed(socket, load)
        feed.hear()  # the subscriber is there
        yield feed.push


class Feed:
    """What one `tidings_zeromq.Subscriber` is sent, from where it says."""

    def __init__(self, socket: zmq.Socket[bytes], load: Load) -> None:
        self._socket = socket
        self._load = load
        self._last_ids = [frame.last_id for frame in load.frames]
        self._nonce: int | None = None
        self._sent = self._acknowledged = 0

    def push(self) -> int:
        """Send everything; return how many events were acknowledged."""
        load, frames = self._load, self._load.frames
        while self._acknowledged < len(frames):
            while self._socket.poll(0):
                self.hear()
            if self._sent < len(frames) and load.has_room(self._sent, self._acknowledged):
                frame = frames[self._sent]
                self._send(encode_events(self._nonce or 0, frame.previous_id, [frame.data]))
                self._sent += 1
            elif self._acknowledged < len(frames):
                self._socket.poll()
        return load.events

    def hear(self) -> None:
        """Wait for a request; begin the feed that it asks for."""
        self._connection, frame = self._socket.recv_multipart()
        request = decode_request(frame)
        self._acknowledged = bisect_right(self._last_ids, request.acknowledged_id)
        if request.nonce != self._nonce:
            self._nonce = request.nonce
            self._sent = bisect_right(self._last_ids, request.last_id)
            self._send(encode_beginning(request.nonce, request.last_id))

    def _send(self, frame: bytes) -> None:
        self._socket.send(self._connection, zmq.SNDMORE)
        self._socket.send(frame)


@contextmanager
def counted(
    _exchange_name: str,
    *,
    database_url: str,
    count: int,
    window: int,
    window_bytes: int,
    together: int,
) -> Iterator[Callable[[], int]]:
    """Push frames of ``together`` events, encoded beforehand; the subscriber only counts them."""
    load = Load(_frames(database_url, count, together), window, window_bytes)
    whole = [encode_events(1, frame.previous_id, [frame.data]) for frame in load.frames]
    with _socket(zmq.DEALER) as (socket, address), _beside(_count, address, together):
        socket.recv()  # the subscriber is there

        def work() -> int:
            sent = acknowledged = 0
            for frame in whole:
                while not load.has_room(sent, acknowledged) or socket.poll(0):
                    (acknowledged,) = _COUNT.unpack(socket.recv())
                socket.send(frame)
                sent += 1
            while acknowledged < sent:
                (acknowledged,) = _COUNT.unpack(socket.recv())
            return load.events

        yield work


def _frames(database_url: str, count: int, together: int) -> list[Frame]:
    """Encode stored events, and put as many together as the relay does, or fewer."""
    recent = RecentEvents(0, count, sys.maxsize)
    for event, message in messages(database_url, count):
        encoded = encode_event(message, event.type_name, event.event_id, event.occurred_on)
        recent.append(event.event_id, encoded, traits_of(message))
    frames: list[Frame] = []
    last_id = 0
    while last_id < recent.newest_id:
        events, newest_id = recent.after(last_id, together, FRAME_BYTES)
        frames.append(Frame(b"".join(events), last_id, newest_id, len(events)))
        last_id = newest_id
    return frames


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
