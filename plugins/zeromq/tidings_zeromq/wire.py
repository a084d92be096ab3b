"""What the relay and its subscribers say to each other, as bytes.

Integers are big-endian. A subscriber sends one kind of frame, the *request*::

    2 bytes   b"t1"
    8 bytes   nonce: names the stream that the subscriber listens to; a new one starts a stream
    8 bytes   the newest event id that it has, or -1: "where do I stand?"
    8 bytes   the newest event id whose effect it has stored, or -1
    1, 1      lengths of the two names that follow
              the subscriber's name, the exchange's name, in UTF-8

The relay sends two kinds, each a single frame: multi-frame messages break when a peer dies
halfway. The *beginning* of a stream::

    1 byte    b"B"
    8 bytes   nonce
    8 bytes   the stream begins after this event id

and *events*, one or more, ascending::

    1 byte    b"E"
    8 bytes   nonce
    8 bytes   the id before the first one in the stream: what shows a hole
    then for each event
    4 bytes   how many bytes follow after these 28
    8 bytes   event id
    8 bytes   time: microseconds since 1970-01-01 UTC
    2, 2, 4   lengths of the three texts that follow
              type name, content type, headers (a JSON object, or nothing), in UTF-8
              the body: the rest
"""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import MAX_EVENT_ID, NotificationMessage, ReceivedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_ID = -1
MAX_REQUEST = 1024
"""Bytes; longer requests are nobody's."""

_MAGIC = b"t1"
_REQUEST = struct.Struct("!2sQqqBB")
_HEAD = struct.Struct("!cQq")
_EVENT = struct.Struct("!IqqHHI")
_BEGINNING_KIND = b"B"
_EVENT_KIND = b"E"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class WireError(ValueError):
    """Bytes that are none of ours."""


class Request(NamedTuple):
    """What a subscriber says."""

    nonce: int
    last_id: int
    acknowledged_id: int
    name: str
    exchange_name: str


class Head(NamedTuple):
    """What a subscriber must know of a frame to judge it."""

    nonce: int
    previous_id: int
    has_events: bool
    """Whether events follow; else it is the beginning of a stream after ``previous_id``."""


FIRST_EVENT = _HEAD.size
"""Where the first event stands in a frame of events."""


def encode_request(request: Request) -> bytes:
    """Return ``request`` as a frame."""
    name = request.name.encode()
    exchange_name = request.exchange_name.encode()
    return (
        _REQUEST.pack(
            _MAGIC,
            request.nonce,
            request.last_id,
            request.acknowledged_id,
            len(name),
            len(exchange_name),
        )
        + name
        + exchange_name
    )


def decode_request(frame: bytes) -> Request:
    """Return the request in ``frame``, or raise :class:`WireError`."""
    try:
        magic, nonce, last_id, acknowledged_id, name_length, exchange_length = _REQUEST.unpack_from(
            frame
        )
        texts = frame[_REQUEST.size :]
        name = texts[:name_length].decode()
        exchange_name = texts[name_length:].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"no request: {error}") from error
    if magic != _MAGIC or len(texts) != name_length + exchange_length:
        raise WireError("no request")
    if not NO_ID <= acknowledged_id <= last_id or not name or not name.isprintable():
        raise WireError("a request that makes no sense")
    return Request(nonce, last_id, acknowledged_id, name, exchange_name)


def encode_events(nonce: int, previous_id: int, events: Iterable[bytes]) -> bytes:
    """Return a frame of events; ``previous_id`` is the id before the first in the stream."""
    return _HEAD.pack(_EVENT_KIND, nonce, previous_id) + b"".join(events)


def encode_beginning(nonce: int, start_id: int) -> bytes:
    """Return the frame that begins a stream after ``start_id``."""
    return _HEAD.pack(_BEGINNING_KIND, nonce, start_id)


def encode_event(
    message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
) -> bytes:
    """Return an event's own bytes, the same for every subscriber.

    Raises ``ValueError``, with a reason for a person, where they cannot be made.
    """
    if not 0 < event_id <= MAX_EVENT_ID:
        raise ValueError(f"its id is not between 1 and {MAX_EVENT_ID}")
    type_bytes = type_name.encode()
    content_type = message.content_type.encode()
    headers = _to_json(message.headers).encode() if message.headers else b""
    rest = b"".join((type_bytes, content_type, headers, message.body))
    try:
        fixed = _EVENT.pack(
            len(rest),
            event_id,
            (occurred_on - _EPOCH) // _MICROSECOND,
            len(type_bytes),
            len(content_type),
            len(headers),
        )
    except struct.error as error:
        raise ValueError("its type name, content type, headers or body are too long") from error
    return fixed + rest


def decode_head(frame: bytes) -> Head:
    """Return the head of what the relay sent, or raise :class:`WireError`."""
    try:
        kind, nonce, previous_id = _HEAD.unpack_from(frame)
    except struct.error as error:
        raise WireError(f"no frame of a relay: {error}") from error
    has_events = kind == _EVENT_KIND
    if previous_id < 0 or not (
        has_events or (kind == _BEGINNING_KIND and len(frame) == _HEAD.size)
    ):
        raise WireError("no frame of a relay")
    return Head(nonce, previous_id, has_events)


def decode_event(frame: bytes, start: int) -> tuple[ReceivedMessage, int]:
    """Return the message at ``start``, and where the next one stands; or :class:`WireError`."""
    try:
        length, event_id, time, type_length, content_length, headers_length = _EVENT.unpack_from(
            frame, start
        )
        type_start = start + _EVENT.size
        content_start = type_start + type_length
        headers_start = content_start + content_length
        body_start = headers_start + headers_length
        end = type_start + length
        if not body_start <= end <= len(frame) or event_id <= 0:
            raise WireError("an event cut short")
        return (
            ReceivedMessage(
                str(event_id),
                frame[type_start:content_start].decode(),
                _EPOCH + time * _MICROSECOND,
                frame[body_start:end],
                frame[content_start:headers_start].decode(),
                _decode_headers(frame[headers_start:body_start]),
                event_id,
            ),
            end,
        )
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise WireError(f"no event: {error}") from error


_to_json = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=dict, check_circular=False
).encode


def _decode_headers(text: bytes) -> dict[str, str]:
    if not text:
        return {}
    try:
        headers = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"headers that are not JSON: {error}") from error
    if not isinstance(headers, dict) or not all(
        isinstance(value, str) for value in headers.values()
    ):
        raise WireError("headers that are not an object of texts")
    return headers
