"""Messages as AMQP 1.0 sections, which is what streams hold.

RabbitMQ shows a stream to AMQP 0-9-1 clients too. The properties ``type`` and ``app_id`` have no
place in AMQP 1.0. Up to 3.12 it looks for them in the application properties, later in an
annotation and in the group's name. There is no header section: RabbitMQ 3.10 ends the connection of
an AMQP 0-9-1 client that reads one.
"""

from __future__ import annotations

import struct
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tidings.plugins import Accepted, ReceivedMessage, fingerprint_of
from tidings_rabbitmq.exact_time import DAY, EPOCH, SIZE, exact_time
from tidings_rabbitmq.foreign import moment, text
from tidings_rabbitmq.stream.sections import read_sections

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tidings.plugins import NotificationMessage, Position

OCCURRED_ON = "occurred_on"
GENERATION = "generation"
STORE = "tidings_store"
TYPE = "x-basic-type"
APP_ID = "x-basic-app-id"
ROUTING_KEY = "x-routing-key"
"""The annotation that RabbitMQ shows to AMQP 0-9-1 clients as the message's routing key."""
RESERVED_HEADERS = frozenset({OCCURRED_ON, GENERATION, STORE, TYPE, APP_ID})
SHORT = 255
PROPERTIES = 11  # up to the last that we set, group-id
MESSAGE_ID, SUBJECT, CONTENT_TYPE, CREATION_TIME = 0, 3, 6, 9
"""Places in the list of properties."""

_ANNOTATIONS, _PROPERTIES, _APPLICATION, _DATA = (
    b"\x00\x53" + bytes([code]) for code in (0x72, 0x73, 0x74, 0x75)
)
_LIST, _MAP, _NULL, _TEXT, _TIMESTAMP = b"\xd0", b"\xd1", b"\x40", b"\xa1", 0x83
_PROPERTIES_LIST, _APPLICATION_MAP = _PROPERTIES + _LIST, _APPLICATION + _MAP
_SIZE_AND_COUNT = struct.Struct(">LL")
_LONG = struct.Struct(">L")
_CREATED = struct.Struct(">Bq")
_ID_SIZES = [_TEXT + bytes([length]) for length in range(20)]
"""What stands before an id of so many digits."""


class StreamMessageEncoder:
    """Encodes the messages of one publisher, with everything constant done once."""

    def __init__(self, app_id: str, position: Position) -> None:
        self._app_id = string(app_id)
        constant: list[bytes] = []
        if position.generation:
            constant += (string(GENERATION), string(str(position.generation)))
        if position.store:
            constant += (string(STORE), string(position.store))
        self._constant = b"".join(constant)
        self._constant_items = len(constant)
        self._basic_properties = lru_cache(maxsize=4096)(self._encode_basic_properties)
        self._annotations = lru_cache(maxsize=4096)(self._encode_annotations)

    def encode(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        """Return the message's sections.

        Raises ``ValueError`` with a reason for a person if AMQP cannot hold it.
        """
        if occurred_on.tzinfo is not UTC:
            occurred_on = occurred_on.astimezone(UTC)
        return b"".join(
            (
                self._annotations(type_name, message.routing_key),
                self._properties(message.content_type, type_name, event_id, occurred_on),
                self._application_properties(message.headers, type_name, occurred_on),
                _DATA,
                _size(b"\xa0", b"\xb0", message.body),
                message.body,
            )
        )

    def _encode_annotations(self, type_name: str, routing_key: str) -> bytes:
        pairs = symbol(TYPE) + string(type_name)
        if not routing_key:
            return _ANNOTATIONS + _compound(_MAP, 2, pairs)
        if len(key := string(routing_key)) > SHORT + 2:
            raise ValueError(f"its routing key has more than {SHORT} bytes")
        return _ANNOTATIONS + _compound(_MAP, 4, pairs + symbol(ROUTING_KEY) + key)

    def _encode_basic_properties(self, type_name: str) -> bytes:
        return string(TYPE) + string(type_name) + string(APP_ID) + self._app_id

    def _properties(
        self, content_type: str, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        digits = b"%d" % event_id
        since = occurred_on - EPOCH
        created = _NULL
        # RabbitMQ shows it to AMQP 0-9-1 clients, whose timestamps are unsigned.
        if since.days >= 0:
            seconds = since.days * DAY + since.seconds
            created = _CREATED.pack(_TIMESTAMP, seconds * 1000 + since.microseconds // 1000)
        between = _between(content_type, type_name)
        fields = b"".join((_ID_SIZES[len(digits)], digits, between, created, self._app_id))
        return _PROPERTIES_LIST + _SIZE_AND_COUNT.pack(len(fields) + 4, PROPERTIES) + fields

    def _application_properties(
        self, headers: Mapping[str, str], type_name: str, occurred_on: datetime
    ) -> bytes:
        time = exact_time(occurred_on, (occurred_on - EPOCH).days)
        pairs = _BEFORE_TIME + time + self._constant
        for name, value in headers.items():
            pairs += _name(name) + string(value)
        pairs += self._basic_properties(type_name)
        items = 2 + self._constant_items + 2 * len(headers) + 4
        return _APPLICATION_MAP + _SIZE_AND_COUNT.pack(len(pairs) + 4, items) + pairs


def accepted_of(data: bytes, app_id: str) -> Accepted | None:
    """Return which event of ours a stream holds as ``data``; ``None`` if it is no such."""
    headers = {text(key): text(value) for key, value in read_sections(data).application.items()}
    message = decode(data, None)
    if headers.get(APP_ID) != app_id or message.occurred_on is None:
        return None
    try:
        event_id, generation = int(message.message_id), int(headers.get(GENERATION, 0))
    except ValueError:
        return None  # another program's message, under our app_id
    mark = fingerprint_of(message.type_name, message.occurred_on)
    return Accepted(event_id, mark, generation, headers.get(STORE, ""))


def decode(data: bytes, delivery_tag: Any, partition: int | None = None) -> ReceivedMessage:
    """Return the message that a stream holds as ``data``, whoever wrote it."""
    message = read_sections(data)
    headers = {text(key): text(value) for key, value in message.application.items()}
    type_name = headers.pop(TYPE, None) or message.annotations.get(TYPE)
    headers.pop(APP_ID, None)
    headers.pop(STORE, None)
    return ReceivedMessage(
        message_id=text(message.property(MESSAGE_ID)),
        type_name=text(type_name or message.property(SUBJECT)),
        occurred_on=moment(headers.pop(OCCURRED_ON, None), message.property(CREATION_TIME)),
        body=message.body,
        content_type=text(message.property(CONTENT_TYPE)),
        headers=headers,
        delivery_tag=delivery_tag,
        routing_key=text(message.annotations.get(ROUTING_KEY)),
        partition=partition,
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
    return _size(short, long, value) + value


def _size(short: bytes, long: bytes, value: bytes) -> bytes:
    """Return what stands before ``value``."""
    size = len(value)
    return short + bytes((size,)) if size <= SHORT else long + _LONG.pack(size)


def _compound(code: bytes, items: int, content: bytes) -> bytes:
    return code + _SIZE_AND_COUNT.pack(len(content) + _LONG.size, items) + content


@lru_cache(maxsize=4096)
def _name(text: str) -> bytes:
    if text in RESERVED_HEADERS:
        raise ValueError(f"its header {text!r} has a meaning of its own; use another name")
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


_BEFORE_TIME = string(OCCURRED_ON) + _TEXT + bytes([SIZE])
