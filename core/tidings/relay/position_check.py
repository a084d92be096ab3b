"""Whether the tracked position is one of this event store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import PositionMismatchError
from tidings.interfaces import fingerprint

if TYPE_CHECKING:
    from tidings.interfaces import EventStore, Lease


def check_position(store: EventStore, lease: Lease) -> None:
    """Raise :class:`~tidings.errors.PositionMismatchError` where the store isn't the one tracked.

    That is so after the database was restored, truncated or exchanged for another one: going on
    from there would pass events, or publish others under the ids of old ones. A position whose
    event was pruned is fine. To be asked when a lease was taken, and after a reconnect.
    """
    position = lease.position.event_id
    if not position:
        return
    event = store.stored_event(position)
    if event is not None:
        if lease.fingerprint is not None and fingerprint(event) != lease.fingerprint:
            raise PositionMismatchError(
                f"Exchange {lease.exchange_name!r} has had event {position}, which was "
                f"{_readable(lease.fingerprint)!r}; the event store now has "
                f"{_readable(fingerprint(event))!r} under that id. {_advice(lease)}"
            )
        return
    newest = store.newest_event_id()
    if newest is None or newest < position:  # pruning always leaves the newest event
        stands = "is empty" if newest is None else f"ends with event {newest}"
        raise PositionMismatchError(
            f"Exchange {lease.exchange_name!r} has had event {position}, but the event store "
            f"{stands}. {_advice(lease)}"
        )


def _readable(mark: str) -> str:
    when, _, type_name = mark.partition(" ")
    return f"{type_name} of {when}"


def _advice(lease: Lease) -> str:
    return (
        "It was restored or truncated, or it is another one. If it is the right one, say from "
        f"where to go on: `tidings replay {lease.exchange_name} --from ID` (or --all)."
    )
