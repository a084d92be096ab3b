"""RabbitMQ's streams: a bare socket, and rstream waiting for each message's confirm."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from rstream import AMQPMessage, Producer, Properties, schema
from rstream.encoding import decode_frame, encode_frame

from benchmarks.stored import messages
from benchmarks.wire.bare_socket import push, received
from benchmarks.wire.pieces import pieces
from tidings.plugins import Position
from tidings_rabbitmq.stream.messages import APP_ID as BASIC_APP_ID
from tidings_rabbitmq.stream.messages import OCCURRED_ON, StreamMessageEncoder
from tidings_rabbitmq.stream.messages import TYPE as BASIC_TYPE
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings import NotificationMessage, StoredEvent

Answer = TypeVar("Answer", bound=schema.Frame)

APP_ID: str = RabbitMQStreamSettings.model_fields["app_id"].default
_LENGTH = struct.Struct(">L")
_PUBLISH = struct.Struct(">LHHBL")
_CONFIRM = struct.Struct(">HHBL")
_PUBLISHER = 1


@contextmanager
def bare(
    stream: str, *, url: str, database_url: str, count: int, window: int
) -> Iterator[Callable[[], int]]:
    """Push frames that were encoded beforehand, in a window of unconfirmed messages."""
    encoded = _encoded(database_url, count)
    ready = [(_frame(piece), len(piece)) for piece in pieces(encoded, window)]
    with _publishing_socket(url, stream) as connection:
        yield lambda: push(connection, ready, window, _take_confirms)


@contextmanager
def blocking(
    stream: str, *, url: str, database_url: str, count: int
) -> Iterator[Callable[[], int]]:
    """Publish with rstream's `send_wait`."""
    prepared = [usual_message(event, message) for event, message in messages(database_url, count)]
    parts = urlsplit(url)
    loop = asyncio.new_event_loop()
    producer = Producer(
        parts.hostname or "",
        parts.port or 5552,
        username=parts.username or "",
        password=parts.password or "",
    )
    loop.run_until_complete(producer.start())
    loop.run_until_complete(producer.create_stream(stream, exists_ok=True))

    async def publish() -> int:
        for message in prepared:
            await producer.send_wait(stream, message)
        return len(prepared)

    yield lambda: loop.run_until_complete(publish())
    loop.run_until_complete(producer.close())
    loop.close()


def _encoded(database_url: str, count: int) -> Iterator[bytes]:
    encoder = StreamMessageEncoder(APP_ID, Position())
    for event, message in messages(database_url, count):
        data = encoder.encode(message, event.type_name, event.event_id, event.occurred_on)
        yield event.event_id.to_bytes(8) + len(data).to_bytes(4) + data


def usual_message(event: StoredEvent, message: NotificationMessage) -> AMQPMessage:
    """Return the message that the relay encodes itself."""
    return AMQPMessage(
        body=message.body,
        properties=Properties(
            message_id=str(event.event_id),
            subject=event.type_name,
            content_type=message.content_type,
            creation_time=int(event.occurred_on.timestamp() * 1000),
            group_id=APP_ID,
        ),
        application_properties={
            OCCURRED_ON: event.occurred_on.astimezone(UTC).isoformat(timespec="microseconds"),
            **message.headers,
            BASIC_TYPE: event.type_name,
            BASIC_APP_ID: APP_ID,
        },
        message_annotations={BASIC_TYPE: event.type_name},
    )


def _frame(encoded: Sequence[bytes]) -> bytes:
    body = b"".join(encoded)
    head = _PUBLISH.pack(
        _PUBLISH.size - _LENGTH.size + len(body),
        schema.Publish.key.value,
        schema.Publish.version,
        _PUBLISHER,
        len(encoded),
    )
    return head + body


def _take_confirms(answers: bytearray) -> int:
    """Take whole frames off ``answers``; return how many messages they confirm."""
    confirmed = 0
    while (answer := _whole_frame(answers)) is not None:
        key, _version, _publisher, count = _CONFIRM.unpack_from(answer)
        if key != schema.PublishConfirm.key.value:
            raise RuntimeError(f"RabbitMQ did not confirm: {decode_frame(answer)!r}")
        confirmed += int(count)
    return confirmed


@contextmanager
def _publishing_socket(url: str, stream: str) -> Iterator[socket.socket]:
    """Give a socket with a publisher declared."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 5552)
    with socket.create_connection(address, 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        login = b"\0".join((b"", (parts.username or "").encode(), (parts.password or "").encode()))
        _ask(connection, schema.PeerProperties(1, []), schema.PeerPropertiesResponse)
        _ask(connection, schema.SaslHandshake(2), schema.SaslHandshakeResponse)
        _ask(connection, schema.SaslAuthenticate(3, "PLAIN", login), schema.Tune)
        connection.sendall(encode_frame(schema.Tune(1 << 20, 0)))
        _ask(connection, schema.Open(4, "/"), schema.OpenResponse)
        _ask(connection, schema.Create(5, stream, []), schema.CreateResponse)
        declare = schema.DeclarePublisher(6, _PUBLISHER, f"{APP_ID}.{stream}", stream)
        _ask(connection, declare, schema.DeclarePublisherResponse)
        connection.setblocking(False)
        yield connection


def _ask(connection: socket.socket, question: schema.Frame, kind: type[Answer]) -> None:
    """Send a frame, and read on until one of that kind has come."""
    connection.sendall(encode_frame(question))
    data = bytearray()
    while True:
        answer = _whole_frame(data)
        if answer is None:
            # No more than this frame: what follows it is for the next question.
            missing = _LENGTH.size if len(data) < _LENGTH.size else _LENGTH.unpack_from(data)[0]
            data += received(connection, missing - max(len(data) - _LENGTH.size, 0))
        elif isinstance(decode_frame(answer), kind):
            return


def _whole_frame(data: bytearray) -> bytes | None:
    """Take a frame off ``data``, without its length; ``None`` if none is whole."""
    if len(data) < _LENGTH.size:
        return None
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    if len(data) < end:
        return None
    frame = bytes(data[_LENGTH.size : end])
    del data[:end]
    return frame
