"""An event as Redis holds it: a JSON object."""

import json
from datetime import UTC, datetime

from tidings.plugins import NewEvent, StoredEvent, UnreadableEventError


def record_of(event: NewEvent) -> str:
    """Return what is stored for ``event``; raises ``InvalidEventError`` if JSON cannot hold it."""
    return json.dumps(
        {
            "type_name": event.type_name,
            "body": event.body_text(),
            "occurred_on": event.occurred_on.astimezone(UTC).isoformat(timespec="microseconds"),
            "aggregate_id": event.aggregate_id,
            "metadata": event.metadata_text(),
        }
    )


def event_of(event_id: int, record: str | None) -> StoredEvent:
    """Return the stored event, or raise ``UnreadableEventError``."""
    try:
        fields = json.loads(record or "")
        return StoredEvent(
            event_id,
            fields["type_name"],
            fields["body"],
            datetime.fromisoformat(fields["occurred_on"]),
            fields["aggregate_id"],
            fields["metadata"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableEventError(
            f"Event {event_id} in Redis is none: {type(error).__name__}. Mend its record, or let "
            "the exchange pass it.",
            event_id=event_id,
        ) from error
