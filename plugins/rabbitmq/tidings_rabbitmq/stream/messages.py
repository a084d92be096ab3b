"""Messages as AMQP 1.0 sections, which is what streams hold.

RabbitMQ shows a stream to AMQP 0-9-1 clients too. The annotations ``x-basic-type`` and
``x-basic-app-id`` are where it keeps the properties that AMQP 1.0 has no place for.
"""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rstream.amqp import amqp_decoder

from tidings.plugins import ReceivedMessage

if TYPE_CHECKING:
    from tidings.plugins import NotificationMessage

OCCURRED_ON = "occurred_on"
GENERATION = "generation"
RESERVED_HEADERS = frozenset({OCCURRED_ON, GENERATION})
TYPE_ANNOTATION = "x-basic-type"
SHORT = 255

_HEADER, _ANNOTATIONS, _PROPERTIES, _APPLICATION, _DATA = (
    b"\x00\x53" + bytes([code]) for code in (0x70, 0x72, 0x73, 0x74, 0x75)
)
_LIST, _MAP, _TIMESTAMP, _NULL, _TRUE = b"\xd0", b"\xd1", b"\x83", b"\x40", b"\x41"
_SIZE_AND_COUNT = struct.Struct(">LL")
_LONG = struct.Struct(">L")
_MILLISECONDS = struct.Struct(">q")


class MessageEncoder:
    """Encodes the messages of one publisher: durable, with everything constant done once."""

    def __init__(self, app_id: str, generation: int) -> None:
        self._durable = _HEADER + _compound(_LIST, [_TRUE])
        self._app_id = (symbol("x-basic-app-id"), string(app_id))
        self._type = symbol(TYPE_ANNOTATION)
        self._occurred_on = string(OCCURRED_ON)
        self._generation: tuple[bytes, ...] = ()
        if generation:
            self._generation = (string(GENERATION), string(str(generation)))
        self._annotations = lru_cache(maxsize=4096)(self._encode_annotations)

    def encode(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        """Return the message's sections.

        Raises ``ValueError`` with a reason for a person where AMQP cannot hold it.
        """
        body = message.body
        return b"".join(
            (
                self._durable,
                self._annotations(type_name),
                self._properties(message.content_type, type_name, event_id, occurred_on),
                self._application_properties(message, occurred_on),
                _DATA,
                _variable(b"\xa0", b"\xb0", body),
            )
        )

    def _encode_annotations(self, type_name: str) -> bytes:
        return _ANNOTATIONS + _compound(_MAP, [self._type, string(type_name), *self._app_id])

    def _properties(
        self, content_type: str, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        milliseconds = math.floor(occurred_on.timestamp() * 1000)
        # RabbitMQ shows it to AMQP 0-9-1 clients, whose timestamps are unsigned.
        created = _TIMESTAMP + _MILLISECONDS.pack(milliseconds) if milliseconds >= 0 else _NULL
        fields = [
            string(str(event_id)),
            _NULL,  # user-id
            _NULL,  # to
            string(type_name),  # subject
            _NULL,  # reply-to
            _NULL,  # correlation-id
            symbol(content_type),
            _NULL,  # content-encoding
            _NULL,  # absolute-expiry-time
            created,
        ]
        return _PROPERTIES + _compound(_LIST, fields)

    def _application_properties(self, message: NotificationMessage, occurred_on: datetime) -> bytes:
        time = occurred_on.astimezone(UTC).isoformat(timespec="microseconds")
        pairs = [self._occurred_on, string(time), *self._generation]
        for name, value in message.headers.items():
            if name in RESERVED_HEADERS:
                raise ValueError(f"its header {name!r} has a meaning of its own; use another name")
            pairs += (string(name), string(value))
        return _APPLICATION + _compound(_MAP, pairs)


def decode(data: bytes, token: Any) -> ReceivedMessage:
    """Return the message that a stream holds as ``data``, whoever wrote it."""
    message = amqp_decoder(data)
    properties = message.properties
    annotations = message.message_annotations or {}
    headers = {_text(k): _text(v) for k, v in (message.application_properties or {}).items()}
    type_name = annotations.get(TYPE_ANNOTATION.encode()) or (properties and properties.subject)
    created = properties.creation_time if properties else None
    return ReceivedMessage(
        message_id=_text(properties.message_id) if properties else "",
        type_name=_text(type_name),
        occurred_on=_time(headers.pop(OCCURRED_ON, None), created),
        body=_body(message),
        content_type=_text(properties.content_type) if properties else "",
        headers=headers,
        token=token,
    )


@lru_cache(maxsize=4096)
def symbol(text: str) -> bytes:
    """Return an AMQP symbol, which is ASCII."""
    if not text.isascii():
        raise ValueError(f"AMQP holds ASCII text here, and not {text[:40]!r}")
    return _variable(b"\xa3", b"\xb3", text.encode())


def string(text: str) -> bytes:
    """Return an AMQP string."""
    try:
        return _variable(b"\xa1", b"\xb1", text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{text[:40]!r} is not valid text") from None


def _variable(short: bytes, long: bytes, value: bytes) -> bytes:
    if len(value) <= SHORT:
        return short + bytes((len(value),)) + value
    return long + _LONG.pack(len(value)) + value


def _compound(code: bytes, items: list[bytes]) -> bytes:
    content = b"".join(items)
    return code + _SIZE_AND_COUNT.pack(len(content) + 4, len(items)) + content


def _body(message: Any) -> bytes:
    parts = message.body
    return (
        b"".join(bytes(part) for part in parts) if isinstance(parts, list) else bytes(parts or b"")
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _time(exact: str | None, milliseconds: int | None) -> datetime | None:
    if exact is not None:
        try:
            return datetime.fromisoformat(exact)
        except ValueError:
            pass
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
