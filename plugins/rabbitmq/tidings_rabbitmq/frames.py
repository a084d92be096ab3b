"""Messages as AMQP 0-9-1 frames, with everything that stays the same encoded once."""

from __future__ import annotations

import struct
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING

from pika import frame, spec

from tidings_rabbitmq.exact_time import DAY, EPOCH, SIZE, exact_time
from tidings_rabbitmq.layout import PARTITION
from tidings_rabbitmq.settings import SHORT_STRING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tidings.plugins import NotificationMessage, Position
    from tidings_rabbitmq.pipeline import Buffers

OCCURRED_ON = "occurred_on"
GENERATION = "generation"
STORE = "tidings_store"
RESERVED_HEADERS = frozenset({OCCURRED_ON, GENERATION, STORE, "CC", "BCC"})

_FRAME_HEADER = struct.Struct(">BHL")
_CONTENT_HEADER = struct.Struct(">HHQH")
_LONG = struct.Struct(">L")
_TIMESTAMP = struct.Struct(">Q")
_NEXT_FRAME_HEADER = struct.Struct(">BBHL")
"""The end of one frame and the header of the next."""
_END, _BODY, _BASIC = spec.FRAME_END, spec.FRAME_BODY, spec.BasicProperties.INDEX
_FRAME_END = bytes([_END])
_AFTER_KEY = 1 + spec.FRAME_END_SIZE
"""Bytes that follow the routing key in a frame that publishes: one of flags, and the end."""
_FRAME_OVERHEAD = spec.FRAME_HEADER_SIZE + spec.FRAME_END_SIZE
_PERSISTENT = bytes([spec.PERSISTENT_DELIVERY_MODE])
_FLAGS = (
    spec.BasicProperties.FLAG_CONTENT_TYPE
    | spec.BasicProperties.FLAG_HEADERS
    | spec.BasicProperties.FLAG_DELIVERY_MODE
    | spec.BasicProperties.FLAG_MESSAGE_ID
    | spec.BasicProperties.FLAG_TYPE
    | spec.BasicProperties.FLAG_APP_ID
)
_FLAGS_AND_TIME = _FLAGS | spec.BasicProperties.FLAG_TIMESTAMP
_LENGTHS = [bytes([length]) for length in range(SHORT_STRING + 1)]


class MessageEncoder:
    """Encodes the messages of one channel to one exchange: mandatory, persistent."""

    def __init__(
        self,
        channel_number: int,
        exchange_name: str,
        frame_max: int,
        app_id: str,
        position: Position,
    ) -> None:
        self._channel_number = channel_number
        self._frame_max = frame_max
        self._body_max = frame_max - _FRAME_OVERHEAD
        publish = spec.Basic.Publish(exchange=exchange_name, routing_key="", mandatory=True)
        self._publish: bytes = frame.Method(channel_number, publish).marshal()
        # What stands around its routing key, which is empty: the byte of its length.
        self._before_key: bytes = self._publish[spec.FRAME_HEADER_SIZE : -_AFTER_KEY - 1]
        self._after_key: bytes = self._publish[-_AFTER_KEY:]
        # Keys are few, or come again.
        self._publish_with = lru_cache(maxsize=4096)(self._marshal)
        self._begin: bytes = struct.pack(">BH", spec.FRAME_HEADER, channel_number)
        self._app_id = short_string(app_id)
        self._headers = _OCCURRED_ON
        if position.store:
            store = _utf8(position.store)
            self._headers = short_string(STORE) + _text_size(store) + store + self._headers
        if position.generation:
            number = struct.pack(">q", position.generation)
            self._headers = short_string(GENERATION) + b"l" + number + self._headers
        self._headers_size = len(self._headers) + SIZE

    def encode(
        self,
        message: NotificationMessage,
        type_name: str,
        event_id: int,
        occurred_on: datetime,
    ) -> Buffers:
        """Return the frames of one message, one buffer behind the other; the body is not copied.

        Raises ``ValueError`` with a reason for a person if AMQP cannot hold it.
        """
        body = message.body
        size = len(body)
        try:
            header = self._content_header(message, size, type_name, event_id, occurred_on)
        except UnicodeEncodeError as error:
            raise ValueError(f"{error.object[:40]!r} is not valid text") from None
        if len(header) + _FRAME_OVERHEAD > self._frame_max:
            raise ValueError(
                f"its headers take {len(header)} bytes, and the broker takes frames of "
                f"{self._frame_max} bytes"
            )
        key = message.routing_key
        publish = self._publish if not key else self._publish_with(key)
        before_body = (publish, self._begin, _LONG.pack(len(header)), header)
        if 0 < size <= self._body_max:
            then = _NEXT_FRAME_HEADER.pack(_END, _BODY, self._channel_number, size)
            return (b"".join((*before_body, then)), body, _FRAME_END)
        return (b"".join(before_body), *self._body_frames(body), _FRAME_END)

    def _marshal(self, routing_key: str) -> bytes:
        """Return the frame that publishes with a key."""
        try:
            key = short_string(routing_key)
        except ValueError as error:
            raise ValueError(f"its routing key does not fit: {error}") from None
        size = len(self._before_key) + len(key) + _AFTER_KEY - spec.FRAME_END_SIZE
        begin = _FRAME_HEADER.pack(spec.FRAME_METHOD, self._channel_number, size)
        return begin + self._before_key + key + self._after_key

    def _body_frames(self, body: bytes) -> Iterator[bytes | memoryview]:
        """Give the frames of a body, the end of the frame before them first, theirs not."""
        whole = memoryview(body)  # whose slices are no copies
        for start in range(0, len(body), self._body_max):
            part = whole[start : start + self._body_max]
            yield _NEXT_FRAME_HEADER.pack(_END, _BODY, self._channel_number, len(part))
            yield part

    def _content_header(
        self,
        message: NotificationMessage,
        size: int,
        type_name: str,
        event_id: int,
        occurred_on: datetime,
    ) -> bytes:
        if occurred_on.tzinfo is not UTC:
            occurred_on = occurred_on.astimezone(UTC)
        flags, timestamp = _FLAGS, b""
        since = occurred_on - EPOCH
        # AMQP's timestamp is unsigned: what happened before 1970 has the exact header alone.
        if since.days >= 0:
            flags, timestamp = _FLAGS_AND_TIME, _TIMESTAMP.pack(since.days * DAY + since.seconds)
        headers = b""
        for name, text in message.headers.items():
            headers += _header(name, text)
        if message.partition is not None:
            if PARTITION in message.headers:
                raise _is_ours(PARTITION)
            headers += _partition(message.partition)
        digits = b"%d" % event_id
        return b"".join(
            (
                _CONTENT_HEADER.pack(_BASIC, 0, size, flags),
                short_string(message.content_type),
                _LONG.pack(self._headers_size + len(headers)),
                self._headers,
                exact_time(occurred_on, since.days),
                headers,
                _PERSISTENT,
                _LENGTHS[len(digits)],
                digits,
                timestamp,
                short_string(type_name),
                self._app_id,
            )
        )


def _header(name: str, text: str) -> bytes:
    value = text.encode()
    return _header_name(name) + _LONG.pack(len(value)) + value


@lru_cache(maxsize=4096)
def _header_name(name: str) -> bytes:
    """Return a header up to the size of its text."""
    if name in RESERVED_HEADERS:
        raise _is_ours(name)
    return short_string(name) + b"S"


@lru_cache(maxsize=4096)
def _partition(partition: int) -> bytes:
    """Return the header that tells a message's partition."""
    return _header(PARTITION, str(partition))


def _is_ours(name: str) -> ValueError:
    return ValueError(f"its header {name!r} has a meaning of its own; use another name")


def _text_size(value: bytes) -> bytes:
    return b"S" + _LONG.pack(len(value))


@lru_cache(maxsize=4096)
def short_string(text: str) -> bytes:
    """Return an AMQP short string; ``ValueError`` if it cannot hold ``text``."""
    value = _utf8(text)
    if len(value) > SHORT_STRING:
        raise ValueError(
            f"AMQP holds {SHORT_STRING} bytes here, and {text[:40]!r}... has {len(value)}"
        )
    return bytes([len(value)]) + value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text[:40]!r} is not valid text") from None


_OCCURRED_ON = short_string(OCCURRED_ON) + b"S" + _LONG.pack(SIZE)
