"""A notification as one line of JSON."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tidings.builtin.well_formed import check_json
from tidings.errors import UndeliverableEventError
from tidings.interfaces import Accepted, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings.interfaces import Notification

_START = b'{"exchange":"'
_HEAD = re.compile(rb'\{"exchange":"(?:[^"\\]|\\.)*","event_id":\d')


def beginning(exchange_name: str) -> bytes:
    """Return what every line of that exchange begins with."""
    return f'{{"exchange":{_text(exchange_name)},"event_id":'.encode()


def line(exchange_name: str, generation: int, notification: Notification) -> bytes:
    """Return the line, its end included.

    A body that is JSON stands in it as it was serialized, digit for digit; any other in base64.
    """
    message = notification.message
    headers = dict(message.headers)
    fields = {
        "type_name": _text(notification.type_name),
        "occurred_on": _text(notification.occurred_on.isoformat(timespec="microseconds")),
    }
    if generation:
        fields["generation"] = str(generation)
    if message.routing_key:
        fields["routing_key"] = _text(message.routing_key)
    if message.partition is not None:
        fields["partition"] = str(message.partition)
    if "aggregate_id" in headers:
        fields["aggregate_id"] = _text(headers.pop("aggregate_id"))
    if "metadata" in headers:
        metadata = headers.pop("metadata")
        fields["metadata"] = _embedded(metadata) or _text(metadata)
    if headers:
        fields["headers"] = _text(headers)
    is_json = message.content_type.partition(";")[0].strip().endswith("json")
    if is_json and (body := _embedded(message.body)):
        fields["body"] = body
    else:
        fields["content_type"] = _text(message.content_type)
        fields["body_base64"] = _text(base64.b64encode(message.body).decode())
    rest = ",".join(f'"{name}":{value}' for name, value in fields.items())
    try:
        return beginning(exchange_name) + f"{notification.event_id},{rest}}}\n".encode()
    except UnicodeEncodeError as error:
        raise UndeliverableEventError(
            f"Exchange {exchange_name!r}: event {notification.event_id} holds text that UTF-8 "
            f"cannot hold: {error.reason}.",
            exchange_name=exchange_name,
            event_id=notification.event_id,
        ) from error


def accepted_of(line: bytes) -> Accepted | None:
    """Return which event a line holds."""
    try:
        fields = json.loads(line)
        event_id, generation = fields["event_id"], fields.get("generation", 0)
        mark = fingerprint_of(fields["type_name"], datetime.fromisoformat(fields["occurred_on"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None  # cut off by a crash, or written by somebody else
    return Accepted(event_id, mark, generation) if type(event_id) is int else None


def is_ours(line: bytes) -> bool:
    """Return whether ``line``, be it cut short, was certainly begun by :func:`line`."""
    return _HEAD.match(line) is not None


def may_be_ours(line: bytes) -> bool:
    """Return whether ``line`` may be the beginning of one of ours, however short."""
    return _START.startswith(line[: len(_START)])


def _text(value: str | Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _embedded(text: str | bytes) -> str | None:
    """Return JSON text in one line; ``None`` if it is no JSON text."""
    try:
        text = text if isinstance(text, str) else text.decode()
        check_json(text)
    except ValueError:
        return None
    # Inside strings, JSON has line ends only escaped.
    return text.replace("\r", " ").replace("\n", " ").strip()
