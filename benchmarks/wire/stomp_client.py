"""ActiveMQ: a bare socket with transactions, and stomp.py with a receipt for each message."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, contextmanager, suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import stomp

from benchmarks.stored import messages
from tidings_activemq import destinations
from tidings_activemq.frames import EventFrames, frame, login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings import NotificationMessage, StoredEvent

_SILENCE = 1.0
SUBSCRIBER = "app"


class Session:
    """A STOMP session on a blocking socket, without anything in between."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 61613), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        user, password = parts.username or "", parts.password or ""
        self.write(login({"accept-version": "1.2", "login": user, "passcode": password}))
        self.receive(b"CONNECTED")

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, command: bytes, patience: float = 30.0) -> int:
        """Wait for frames of that command; return how many came, at least one.

        Raises ``TimeoutError`` if nothing comes for ``patience`` seconds.
        """
        self._socket.settimeout(patience)
        whole: list[bytes] = []
        while not whole:
            data = self._socket.recv(1 << 18)
            if not data:
                raise RuntimeError("ActiveMQ hung up on the bare client.")
            *whole, self._buffer = (self._buffer + data).split(b"\0")
        for text in whole:
            if not text.lstrip().startswith(command):
                raise RuntimeError(f"ActiveMQ answered {text!r}")
        return len(whole)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def bare(
    exchange_name: str, *, url: str, database_url: str, count: int, window: int, batch: int
) -> Iterator[Callable[[], int]]:
    """Push transactions that were encoded beforehand, ``window / batch`` of them in flight."""
    make_queue(url, exchange_name)
    transactions = _transactions(exchange_name, database_url, count, batch)
    with closing(Session(url)) as session:

        def work() -> int:
            in_flight = 0
            for transaction in transactions:
                if in_flight >= window // batch:
                    in_flight -= session.receive(b"RECEIPT")
                session.write(transaction)
                in_flight += 1
            while in_flight:
                in_flight -= session.receive(b"RECEIPT")
            return count

        yield work


@contextmanager
def blocking(
    exchange_name: str, *, url: str, database_url: str, count: int
) -> Iterator[Callable[[], int]]:
    """Publish with stomp.py, and wait for each message's receipt."""
    make_queue(url, exchange_name)
    prepared = [
        (
            message.body,
            message.content_type,
            _headers(event, message),
        )
        for event, message in messages(database_url, count)
    ]
    parts = urlsplit(url)
    connection = stomp.Connection12([(parts.hostname, parts.port)])
    listener = _Receipts()
    connection.set_listener("", listener)
    connection.connect(parts.username, parts.password, wait=True)
    topic = destinations.topic(exchange_name)

    def work() -> int:
        for number, (body, content_type, headers) in enumerate(prepared):
            listener.came.clear()
            connection.send(
                topic, body, content_type, {**headers, "receipt": str(number)}, persistent="true"
            )
            if not listener.came.wait(30):
                raise RuntimeError("ActiveMQ gave no receipt.")
        return len(prepared)

    yield work
    connection.disconnect()


def _headers(event: StoredEvent, message: NotificationMessage) -> dict[str, str]:
    """Return what the relay's frames say of an event."""
    return {
        **message.headers,
        "type": event.type_name,
        "event-id": str(event.event_id),
        "correlation-id": str(event.event_id),
        "timestamp": str(int(event.occurred_on.timestamp() * 1000)),
        "occurred_on": event.occurred_on.astimezone(UTC).isoformat(timespec="microseconds"),
    }


def make_queue(url: str, exchange_name: str) -> None:
    """Make the queue of the exchange's one subscriber, as the relay does."""
    with closing(Session(url)) as session:
        _subscribe(session, exchange_name, prefetch=1)
        session.write(frame("UNSUBSCRIBE", {"id": "1", "receipt": "done"}))
        session.receive(b"RECEIPT")


def drain(url: str, exchange_name: str) -> None:
    """Empty the subscriber's queue, lest it slows the broker down."""
    with closing(Session(url)) as session, suppress(TimeoutError):
        _subscribe(session, exchange_name, prefetch=10_000)
        while session.receive(b"MESSAGE", patience=_SILENCE):
            pass


def _subscribe(session: Session, exchange_name: str, prefetch: int) -> None:
    queue = destinations.subscriber_queue(exchange_name, SUBSCRIBER)
    size = str(prefetch)
    headers = {"id": "1", "destination": queue, "activemq.prefetchSize": size}
    session.write(frame("SUBSCRIBE", headers))


def _transactions(exchange_name: str, database_url: str, count: int, batch: int) -> list[bytes]:
    encoder = EventFrames(exchange_name, destinations.topic(exchange_name))
    stored = list(messages(database_url, count))
    found = []
    for start in range(0, count, batch):
        name = f"t{start}"
        encoded = [
            encoder.encode(name, message, event.type_name, event.event_id, event.occurred_on)
            for event, message in stored[start : start + batch]
        ]
        begin = frame("BEGIN", {"transaction": name})
        commit = frame("COMMIT", {"transaction": name, "receipt": name})
        found.append(b"".join((begin, *encoded, commit)))
    return found


class _Receipts(stomp.ConnectionListener):  # type: ignore[misc] # stomp.py ships no types
    def __init__(self) -> None:
        self.came = threading.Event()

    def on_receipt(self, frame: Any) -> None:  # noqa: ARG002 - only one is in flight
        self.came.set()
