"""What went wrong, as an error of ours."""

from __future__ import annotations

from tidings.plugins import UndeliverableEventError


def undeliverable(exchange_name: str, event_id: int, error: ValueError) -> UndeliverableEventError:
    """Return the error for an event that has no bytes."""
    return UndeliverableEventError(
        f"Exchange {exchange_name!r}: event {event_id} cannot be sent over ZeroMQ: {error}.",
        exchange_name=exchange_name,
        event_id=event_id,
    )
