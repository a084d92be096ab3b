"""RabbitMQ: a bare socket, and pika with a confirm for each message."""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pika
from pika import frame, spec

from benchmarks.stored import messages
from benchmarks.wire.bare_socket import push, received
from benchmarks.wire.pieces import pieces
from tidings.plugins import Position
from tidings_rabbitmq.frames import OCCURRED_ON, MessageEncoder
from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings import NotificationMessage, StoredEvent

CHANNEL = 1
FRAME_MAX = 131072
APP_ID: str = RabbitMQSettings.model_fields["app_id"].default
_ACK = struct.Struct(">BHLHHQBB")


@contextmanager
def bare(
    exchange_name: str, *, url: str, database_url: str, count: int, window: int
) -> Iterator[Callable[[], int]]:
    """Push messages that were encoded beforehand, in a window of unconfirmed ones."""
    declare(url, exchange_name)
    encoder = MessageEncoder(CHANNEL, exchange_name, FRAME_MAX, APP_ID, Position())
    encoded = (
        b"".join(encoder.encode(message, event.type_name, event.event_id, event.occurred_on))
        for event, message in messages(database_url, count)
    )
    ready = [(b"".join(piece), len(piece)) for piece in pieces(encoded, window)]
    with _confirming_socket(url) as connection:
        yield lambda: push(connection, ready, window, _Confirms().take)


@contextmanager
def blocking(
    exchange_name: str, *, url: str, database_url: str, count: int
) -> Iterator[Callable[[], int]]:
    """Publish as pika's documentation shows it: wait for each message's confirm."""
    declare(url, exchange_name)
    prepared = [
        (
            message.body,
            pika.BasicProperties(
                content_type=message.content_type,
                headers=headers(event, message),
                delivery_mode=2,
                message_id=str(event.event_id),
                timestamp=int(event.occurred_on.timestamp()),
                type=event.type_name,
                app_id=APP_ID,
            ),
        )
        for event, message in messages(database_url, count)
    ]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()

    def work() -> int:
        for body, properties in prepared:
            channel.basic_publish(exchange_name, "", body, properties, mandatory=True)
        return len(prepared)

    yield work
    connection.close()


def headers(event: StoredEvent, message: NotificationMessage) -> dict[str, str]:
    """Return the headers that the relay's message has."""
    time = event.occurred_on.astimezone(UTC).isoformat(timespec="microseconds")
    return {OCCURRED_ON: time, **message.headers}


def declare(url: str, exchange_name: str) -> None:
    """Make what the relay makes: a durable fanout exchange, and a queue of the same name."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.exchange_declare(exchange_name, "fanout", durable=True)
    channel.queue_declare(exchange_name, durable=True)
    channel.queue_bind(exchange_name, exchange_name)
    connection.close()


def delete(url: str, exchange_name: str) -> None:
    """Delete the queue, or stream, and the exchange, lest they slow the broker down."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_delete(exchange_name)
    channel.exchange_delete(exchange_name)
    connection.close()


class _Confirms:
    """Counts what was confirmed without a hole before it: RabbitMQ keeps to no order."""

    def __init__(self) -> None:
        self._confirmed = 0
        self._singly: set[int] = set()

    def take(self, answers: bytearray) -> int:
        """Take whole confirms off ``answers``; return how many messages more are confirmed."""
        before, singly = self._confirmed, self._singly
        whole = len(answers) // _ACK.size * _ACK.size
        for fields in _ACK.iter_unpack(bytes(answers[:whole])):
            if fields[3:5] != (spec.Basic.INDEX, 80):
                raise RuntimeError(f"RabbitMQ did not confirm: {bytes(answers)!r}")
            tag, multiple = fields[5], fields[6]
            if multiple:
                self._confirmed = max(self._confirmed, tag)
            else:
                singly.add(tag)
            while self._confirmed + 1 in singly:
                self._confirmed += 1
                singly.remove(self._confirmed)
        del answers[:whole]
        singly.difference_update([tag for tag in singly if tag <= self._confirmed])
        return self._confirmed - before


@contextmanager
def _confirming_socket(url: str) -> Iterator[socket.socket]:
    """Give a socket with one channel open, on which confirms were asked for."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 5672)
    with socket.create_connection(address, 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"AMQP\0\0\x09\x01")
        _await(connection, spec.Connection.Start)
        login = b"\0".join((b"", (parts.username or "").encode(), (parts.password or "").encode()))
        _say(connection, 0, spec.Connection.StartOk({}, "PLAIN", login.decode(), "en_US"))
        _await(connection, spec.Connection.Tune)
        _say(connection, 0, spec.Connection.TuneOk(CHANNEL, FRAME_MAX, 0))
        _say(connection, 0, spec.Connection.Open("/"))
        _await(connection, spec.Connection.OpenOk)
        _say(connection, CHANNEL, spec.Channel.Open())
        _await(connection, spec.Channel.OpenOk)
        _say(connection, CHANNEL, spec.Confirm.Select())
        _await(connection, spec.Confirm.SelectOk)
        connection.setblocking(False)
        yield connection


def _say(connection: socket.socket, channel: int, method: Any) -> None:
    connection.sendall(frame.Method(channel, method).marshal())


def _await(connection: socket.socket, kind: type) -> None:
    data = b""
    while True:
        data += received(connection)
        consumed, answer = frame.decode_frame(data)
        if consumed:
            if not isinstance(answer.method, kind):
                raise RuntimeError(f"RabbitMQ answered {answer!r}")
            return
