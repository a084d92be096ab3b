"""Messages as AMQP 1.0 sections, which is what streams hold.

RabbitMQ shows a stream to AMQP 0-9-1 clients too. The properties ``type`` and ``app_id`` have no
place in AMQP 1.0: up to 3.12 it looks for them in the application properties, later in an
annotation and in the group's name. There is no header section: RabbitMQ 3.10 ends the connection
of an AMQP 0-9-1 client that reads one.
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
    from collections.abc import Mapping

    from tidings.plugins import NotificationMessage

OCCURRED_ON = "occurred_on"
GENERATION = "generation"
TYPE = "x-basic-type"
APP_ID = "x-basic-app-id"
RESERVED_HEADERS = frozenset({OCCURRED_ON, GENERATION, TYPE, APP_ID})
SHORT = 255
PROPERTIES = 11  # up to the last that we set, group-id

_ANNOTATIONS, _PROPERTIES, _APPLICATION, _DATA = (
    b"\x00\x53" + bytes([code]) for code in (0x72, 0x73, 0x74, 0x75)
)
_LIST, _MAP, _TIMESTAMP, _NULL = b"\xd0", b"\xd1", b"\x83", b"\x40"
_SIZE_AND_COUNT = struct.Struct(">LL")
_LONG = struct.Struct(">L")
_MILLISECONDS = struct.Struct(">q")


class MessageEncoder:
    """Encodes the messages of one publisher, with everything constant done once."""

    def __init__(self, app_id: str, generation: int) -> None:
        self._app_id = string(app_id)
        self._occurred_on = string(OCCURRED_ON)
        self._generation: tuple[bytes, ...] = ()
        if generation:
            self._generation = (string(GENERATION), string(str(generation)))
        self._basic_properties = lru_cache(maxsize=4096)(self._encode_basic_properties)
        self._annotations = lru_cache(maxsize=4096)(self._encode_annotations)

    def encode(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        """Return the message's sections.

        Raises ``ValueError`` with a reason for a person where AMQP cannot hold it.
        """
        return b"".join(
            (
                self._annotations(type_name),
                _PROPERTIES,
                self._properties(message.content_type, type_name, event_id, occurred_on),
                _APPLICATION,
                self._application_properties(message.headers, type_name, occurred_on),
                _DATA,
                _variable(b"\xa0", b"\xb0", message.body),
            )
        )

    def _encode_annotations(self, type_name: str) -> bytes:
        return _ANNOTATIONS + _compound(_MAP, 2, symbol(TYPE) + string(type_name))

    def _encode_basic_properties(self, type_name: str) -> bytes:
        return string(TYPE) + string(type_name) + string(APP_ID) + self._app_id

    def _properties(
        self, content_type: str, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        digits = b"%d" % event_id
        milliseconds = math.floor(occurred_on.timestamp() * 1000)
        # RabbitMQ shows it to AMQP 0-9-1 clients, whose timestamps are unsigned.
        created = _TIMESTAMP + _MILLISECONDS.pack(milliseconds) if milliseconds >= 0 else _NULL
        between = _between(content_type, type_name)
        fields = b"\xa1" + bytes((len(digits),)) + digits + between + created + self._app_id
        return _compound(_LIST, PROPERTIES, fields)

    def _application_properties(
        self, headers: Mapping[str, str], type_name: str, occurred_on: datetime
    ) -> bytes:
        time = occurred_on.astimezone(UTC).isoformat(timespec="microseconds")
        pairs = [self._occurred_on, string(time), *self._generation]
        for name, value in headers.items():
            if name in RESERVED_HEADERS:
                raise ValueError(f"its header {name!r} has a meaning of its own; use another name")
            pairs += (_name(name), string(value))
        pairs.append(self._basic_properties(type_name))
        return _compound(_MAP, len(pairs) + 3, b"".join(pairs))


def decode(data: bytes, token: Any) -> ReceivedMessage:
    """Return the message that a stream holds as ``data``, whoever wrote it."""
    message = amqp_decoder(data)
    properties = message.properties
    annotations = message.message_annotations or {}
    headers = {_text(k): _text(v) for k, v in (message.application_properties or {}).items()}
    type_name = headers.pop(TYPE, None) or annotations.get(TYPE.encode())
    type_name = type_name or (properties and properties.subject)
    headers.pop(APP_ID, None)
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


def _compound(code: bytes, items: int, content: bytes) -> bytes:
    return code + _SIZE_AND_COUNT.pack(len(content) + _LONG.size, items) + content


@lru_cache(maxsize=4096)
def _name(text: str) -> bytes:
    return string(text)


@lru_cache(maxsize=4096)
def _between(content_type: str, type_name: str) -> bytes:
    """Return the properties between the message's id and its time of creation."""
    return b"".join(
        (
            _NULL,  # user-id
            _NULL,  # to
            string(type_name),  # subject
            _NULL,  # reply-to
            _NULL,  # correlation-id
            symbol(content_type),
            _NULL,  # content-encoding
            _NULL,  # absolute-expiry-time
        )
    )


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
