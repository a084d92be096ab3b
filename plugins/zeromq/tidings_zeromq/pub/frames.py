"""The six frames of a published event, plain enough for a subscriber in any language.

Type name (the topic), event id, time (ISO 8601, UTC), content type, headers (a JSON object), body.
With a routing key that is the topic, and the type name stands among the headers.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidings.plugins import NotificationMessage, ReceivedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPE_NAME = "tidings.type_name"
"""The header that holds the type's name if the topic is a routing key."""

_FRAMES = 6


def encode(
    message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
) -> list[bytes]:
    """Return the frames; ``ValueError`` if a text is none, or a header has a name of our own."""
    topic, headers = type_name, message.headers
    if message.routing_key:
        if TYPE_NAME in headers:
            raise ValueError(
                f"its serializer gives it a header {TYPE_NAME!r}, which is tidings' own"
            )
        topic, headers = message.routing_key, {**headers, TYPE_NAME: type_name}
    return [
        topic.encode(),
        b"%d" % event_id,
        occurred_on.astimezone(UTC).isoformat(timespec="microseconds").encode(),
        message.content_type.encode(),
        json.dumps(dict(headers), ensure_ascii=False).encode(),
        message.body,
    ]


def decode(frames: Sequence[bytes]) -> ReceivedMessage | None:
    """Return the message, or ``None`` if the frames are none of ours."""
    if len(frames) != _FRAMES:
        return None
    topic, event_id, occurred_on, content_type, headers, body = frames
    try:
        texts = json.loads(headers)
        if not isinstance(texts, dict):
            return None
        type_name, routing_key = topic.decode(), ""
        if TYPE_NAME in texts:
            type_name, routing_key = str(texts.pop(TYPE_NAME)), type_name
        return ReceivedMessage(
            message_id=str(int(event_id)),
            type_name=type_name,
            occurred_on=datetime.fromisoformat(occurred_on.decode()),
            body=body,
            content_type=content_type.decode(),
            headers={str(name): str(text) for name, text in texts.items()},
            routing_key=routing_key,
        )
    except (ValueError, RecursionError):
        return None
