"""What a broker remembers, as tests of its place ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings.plugins import MessageProducer


def newest_id(
    producer: MessageProducer, exchange_name: str, generation: int | None = None
) -> int | None:
    """Return the id of the newest event that the broker says it has, of that generation."""
    accepted = producer.most_recent_accepted(exchange_name)
    if accepted is None or generation not in (None, accepted.generation):
        return None
    return accepted.event_id
