"""An event as the bytes that every subscriber is sent, within a frame of :mod:`~.wire`'s events.

A routing key and a partition travel among the headers, under names that no configuration can give.
"""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from pydantic_core import to_json

from tidings.plugins import MAX_EVENT_ID, NotificationMessage, ReceivedMessage
from tidings_zeromq.wire import WireError

ROUTING_KEY = "tidings.routing_key"
PARTITION = "tidings.partition"

_EVENT = struct.Struct("!IqqHHI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND, _DAY = 1_000_000, 86_400


def encode_event(
    message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
) -> bytes:
    """Return an event's own bytes, the same for every subscriber.

    Raises ``ValueError``, with a reason for a person, if they cannot be made.
    """
    if not 0 < event_id <= MAX_EVENT_ID:
        raise ValueError(f"its id is not between 1 and {MAX_EVENT_ID}")
    type_bytes = type_name.encode()
    content_type = message.content_type.encode()
    own, routing_key, partition = message.headers, message.routing_key, message.partition
    headers = to_json(own, fallback=dict) if own else b""
    if routing_key or partition is not None:
        if ROUTING_KEY in own or PARTITION in own:
            name = ROUTING_KEY if ROUTING_KEY in own else PARTITION
            raise ValueError(f"its serializer gives it a header {name!r}, which is tidings' own")
        members = _key_member(routing_key) if routing_key else b""
        if partition is not None:
            members += _partition_member(partition)
        headers = headers[:-1] + members + b"}" if headers else b"{" + members[1:] + b"}"
    body = message.body
    since = occurred_on - _EPOCH
    try:
        fixed = _EVENT.pack(
            len(type_bytes) + len(content_type) + len(headers) + len(body),
            event_id,
            (since.days * _DAY + since.seconds) * _SECOND + since.microseconds,
            len(type_bytes),
            len(content_type),
            len(headers),
        )
    except struct.error as error:
        raise ValueError("its type name, content type, headers or body are too long") from error
    return b"".join((fixed, type_bytes, content_type, headers, body))


@lru_cache(maxsize=4096)
def _key_member(routing_key: str) -> bytes:
    """Return it as a member of a JSON object, behind others: keys are few, or come again."""
    return b"," + to_json({ROUTING_KEY: routing_key})[1:-1]


@lru_cache(maxsize=4096)
def _partition_member(partition: int) -> bytes:
    """Return it likewise."""
    return b"," + to_json({PARTITION: str(partition)})[1:-1]


def _partition_in(headers: dict[str, str]) -> int | None:
    """Take the partition out of what arrived as headers; ``None`` if there is none."""
    partition = headers.pop(PARTITION, "")
    return int(partition) if partition.isascii() and partition.isdigit() else None


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
        headers = _decode_headers(frame[headers_start:body_start])
        return (
            ReceivedMessage(
                str(event_id),
                frame[type_start:content_start].decode(),
                _EPOCH + time * _MICROSECOND,
                frame[body_start:end],
                frame[content_start:headers_start].decode(),
                headers,
                event_id,
                headers.pop(ROUTING_KEY, ""),
                _partition_in(headers),
            ),
            end,
        )
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise WireError(f"no event: {error}") from error


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
