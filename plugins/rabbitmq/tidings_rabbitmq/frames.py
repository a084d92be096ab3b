"""Messages as AMQP 0-9-1 frames, with everything that stays the same encoded once."""

from __future__ import annotations

import math
import struct
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING

from pika import frame, spec

from tidings_rabbitmq.settings import SHORT_STRING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tidings.plugins import NotificationMessage

OCCURRED_ON = "occurred_on"
GENERATION = "generation"
RESERVED_HEADERS = frozenset({OCCURRED_ON, GENERATION, "CC", "BCC"})

_FRAME_HEADER = struct.Struct(">BHL")
_CONTENT_HEADER = struct.Struct(">HHQH")
_LONG = struct.Struct(">L")
_TIMESTAMP = struct.Struct(">Q")
_FRAME_END = bytes([spec.FRAME_END])
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


class MessageEncoder:
    """Encodes the messages of one channel to one exchange: mandatory, persistent."""

    def __init__(
        self, channel_number: int, exchange_name: str, frame_max: int, app_id: str, generation: int
    ) -> None:
        self._channel_number = channel_number
        self._frame_max = frame_max
        self._body_max = frame_max - _FRAME_OVERHEAD
        publish = spec.Basic.Publish(exchange=exchange_name, routing_key="", mandatory=True)
        self._publish: bytes = frame.Method(channel_number, publish).marshal()
        self._app_id = short_string(app_id)
        self._constant_headers = b""
        if generation:
            self._constant_headers = short_string(GENERATION) + b"l" + struct.pack(">q", generation)

    def encode(
        self,
        message: NotificationMessage,
        type_name: str,
        event_id: int,
        occurred_on: datetime,
    ) -> bytes:
        """Return the frames of one message.

        Raises ``ValueError`` with a reason for a person where AMQP cannot hold it.
        """
        body = message.body
        header = self._content_header(message, type_name, event_id, occurred_on)
        if len(header) + _FRAME_OVERHEAD > self._frame_max:
            raise ValueError(
                f"its headers take {len(header)} bytes, and the broker takes frames of "
                f"{self._frame_max} bytes"
            )
        if len(body) <= self._body_max:
            parts = [self._publish, *self._frame(spec.FRAME_HEADER, header)]
            if body:
                parts += self._frame(spec.FRAME_BODY, body)
            return b"".join(parts)
        parts = [self._publish, *self._frame(spec.FRAME_HEADER, header)]
        for start in range(0, len(body), self._body_max):
            parts += self._frame(spec.FRAME_BODY, body[start : start + self._body_max])
        return b"".join(parts)

    def _frame(self, frame_type: int, payload: bytes) -> tuple[bytes, bytes, bytes]:
        header = _FRAME_HEADER.pack(frame_type, self._channel_number, len(payload))
        return header, payload, _FRAME_END

    def _content_header(
        self,
        message: NotificationMessage,
        type_name: str,
        event_id: int,
        occurred_on: datetime,
    ) -> bytes:
        seconds = math.floor(occurred_on.timestamp())
        flags, timestamp = _FLAGS, b""
        # AMQP's timestamp is unsigned: what happened before 1970 has the exact header alone.
        if seconds >= 0:
            flags |= spec.BasicProperties.FLAG_TIMESTAMP
            timestamp = _TIMESTAMP.pack(seconds)
        headers = self._headers(message.headers, occurred_on)
        return b"".join(
            (
                _CONTENT_HEADER.pack(spec.BasicProperties.INDEX, 0, len(message.body), flags),
                short_string(message.content_type),
                _LONG.pack(len(headers)),
                headers,
                _PERSISTENT,
                _short_digits(event_id),
                timestamp,
                short_string(type_name),
                self._app_id,
            )
        )

    def _headers(self, headers: Mapping[str, str], occurred_on: datetime) -> bytes:
        time = occurred_on.astimezone(UTC).isoformat(timespec="microseconds").encode()
        parts = [_OCCURRED_ON, _LONG.pack(len(time)), time, self._constant_headers]
        for name, text in headers.items():
            if name in RESERVED_HEADERS:
                raise ValueError(f"its header {name!r} has a meaning of its own; use another name")
            value = _utf8(text)
            parts += (short_string(name), b"S", _LONG.pack(len(value)), value)
        return b"".join(parts)


@lru_cache(maxsize=4096)
def short_string(text: str) -> bytes:
    """Return an AMQP short string; ``ValueError`` where it cannot hold ``text``."""
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


def _short_digits(number: int) -> bytes:
    digits = b"%d" % number
    return bytes([len(digits)]) + digits


_OCCURRED_ON = short_string(OCCURRED_ON) + b"S"
