"""The six frames of a published event, plain enough for a subscriber in any language.

Type name (the topic), event id, time (ISO 8601, UTC), content type, headers (a JSON object), body.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidings.plugins import NotificationMessage, ReceivedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

_FRAMES = 6


def encode(
    message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
) -> list[bytes]:
    """Return the frames; ``UnicodeEncodeError`` where a text is none."""
    return [
        type_name.encode(),
        b"%d" % event_id,
        occurred_on.astimezone(UTC).isoformat(timespec="microseconds").encode(),
        message.content_type.encode(),
        json.dumps(dict(message.headers), ensure_ascii=False).encode(),
        message.body,
    ]


def decode(frames: Sequence[bytes]) -> ReceivedMessage | None:
    """Return the message, or ``None`` where the frames are none of ours."""
    if len(frames) != _FRAMES:
        return None
    type_name, event_id, occurred_on, content_type, headers, body = frames
    try:
        texts = json.loads(headers)
        if not isinstance(texts, dict):
            return None
        return ReceivedMessage(
            message_id=str(int(event_id)),
            type_name=type_name.decode(),
            occurred_on=datetime.fromisoformat(occurred_on.decode()),
            body=body,
            content_type=content_type.decode(),
            headers={str(name): str(text) for name, text in texts.items()},
        )
    except (ValueError, RecursionError):
        return None
