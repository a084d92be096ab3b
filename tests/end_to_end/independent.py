"""Readers of each broker that use nothing of tidings: what another team's consumer would see."""

from __future__ import annotations

import json
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

import pika
import stomp
import zmq

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 60


@dataclass(frozen=True)
class Arrived:
    """One message."""

    event_id: int
    type_name: str
    body: dict[str, Any]


class Reader(Protocol):
    """Is ready to receive before anything is sent."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def read(self, count: int) -> list[Arrived]:
        """Return the first `count` messages, and fail if there is one more."""


class RabbitMQReader:
    """A queue of its own, bound to the exchange that tidings documents."""

    def __init__(self, url: str, exchange_name: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.exchange_declare(exchange_name, "fanout", durable=True)
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._queue, exchange_name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def read(self, count: int) -> list[Arrived]:
        arrived: list[Arrived] = []
        deadline = time.monotonic() + PATIENCE
        for method, properties, body in self._channel.consume(
            self._queue, auto_ack=True, inactivity_timeout=1
        ):
            if method is None:
                if len(arrived) >= count or time.monotonic() > deadline:
                    break
                continue
            arrived.append(Arrived(int(properties.message_id), properties.type, json.loads(body)))
            assert properties.content_type == "application/json"
            assert properties.delivery_mode == 2
        assert len(arrived) == count
        return arrived


class ActiveMQReader(stomp.ConnectionListener):  # type: ignore[misc]
    """The queue of a second subscriber."""

    def __init__(self, url: str, exchange_name: str) -> None:
        parts = urlsplit(url)
        self._arrived: list[Arrived] = []
        self._changed = threading.Condition()
        self._connection = stomp.Connection12([(parts.hostname, parts.port)])
        self._connection.set_listener("", self)
        self._connection.connect(parts.username, parts.password, wait=True)
        self._connection.subscribe(
            f"/queue/Consumer.independent.VirtualTopic.{exchange_name}", id="1", ack="auto"
        )

    def on_message(self, frame: Any) -> None:
        headers = frame.headers
        with self._changed:
            self._arrived.append(
                Arrived(int(headers["event-id"]), headers["type"], json.loads(frame.body))
            )
            assert headers["persistent"] == "true"
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()

    def read(self, count: int) -> list[Arrived]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._arrived) >= count, PATIENCE)
            assert not self._changed.wait_for(lambda: len(self._arrived) > count, 0.5)
            return self._arrived


class ZeroMQReader:
    """A subscriber written from the description in `tidings_zeromq.wire` alone."""

    def __init__(self, port: int, exchange_name: str) -> None:
        self._exchange_name = exchange_name.encode()
        self._nonce = 1
        self._last_id = 0
        self._arrived: list[Arrived] = []
        self._done = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 1000
        self._socket.connect(f"tcp://127.0.0.1:{port}")
        self._thread = threading.Thread(target=self._subscribe)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._socket.close()
        self._context.term()

    def read(self, count: int) -> list[Arrived]:
        end = time.monotonic() + PATIENCE
        while len(self._arrived) < count and time.monotonic() < end:
            self._done.wait(0.05)
        assert not self._done.wait(0.5)
        assert len(self._arrived) == count
        return self._arrived

    def _subscribe(self) -> None:
        self._ask()
        while not self._done.is_set():
            if not self._socket.poll(500):
                self._nonce += 1
                self._ask()
                continue
            self._receive(self._socket.recv())

    def _receive(self, frame: bytes) -> None:
        kind, nonce, previous = struct.unpack_from("!cQq", frame)
        if kind != b"E" or nonce != self._nonce or previous != self._last_id:
            return
        start = 17
        while start < len(frame):
            size, event_id, _time, *lengths = struct.unpack_from("!IqqHHI", frame, start)
            start += 28
            type_name = frame[start : start + lengths[0]].decode()
            body = frame[start + sum(lengths) : start + size]
            self._arrived.append(Arrived(event_id, type_name, json.loads(body)))
            self._last_id = event_id
            start += size
        self._ask()

    def _ask(self) -> None:
        name = b"independent"
        head = struct.pack(
            "!2sQqqBB",
            b"t1",
            self._nonce,
            self._last_id,
            self._last_id,
            len(name),
            len(self._exchange_name),
        )
        self._socket.send(head + name + self._exchange_name)
