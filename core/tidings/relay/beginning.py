"""How a relay begins: with the lease, and with what the broker already holds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError, PositionMismatchError
from tidings.plugins.specs import Capability
from tidings.relay.owner import Owner, is_gone

if TYPE_CHECKING:
    from tidings.interfaces import Lease
    from tidings.relay.route import Route

log = logging.getLogger(__name__)


def acquire_lease(route: Route, owner: Owner) -> Lease:
    """Take the exchange's lease; at once where its holder is known to be dead."""
    try:
        return route.tracker.acquire_lease(route.exchange_name, str(owner), route.lease_seconds)
    except LeaseHeldError as held:
        if not is_gone(held.owner):
            raise
        log.info("%s: taking over; its relay is gone: %s", route.exchange_name, held.owner)
        return route.tracker.acquire_lease(
            route.exchange_name, str(owner), route.lease_seconds, in_place_of=held.epoch
        )


def held_by_broker(route: Route, lease: Lease, position: int) -> int:
    """Return the newest id that the broker has; 0 where it cannot say.

    Raises :class:`~tidings.errors.PositionMismatchError` where the event store has no such id. That
    is noted, and refused until a replay: a restored store gets events of these ids again as soon
    as the application goes on, and those are others.
    """
    if Capability.MOST_RECENT_ACCEPTED_ID not in route.capabilities:
        return 0
    held = route.producer.most_recent_accepted_id(route.exchange_name) or 0
    if held <= position:
        return held
    newest = route.event_store.newest_event_id() or 0
    mismatch = f"Exchange {route.exchange_name!r}: the broker already has event {held}, but "
    if held > newest:
        missing = f"the newest in the event store is {newest}"
    elif _was_refused(route, mismatch):
        missing = "what the event store has under that id came later"
    else:
        return held
    error = PositionMismatchError(
        f"{mismatch}{missing}. The store was restored, or is another one. Once that is settled, "
        f"`tidings replay {route.exchange_name} --from ID` sets where to go on."
    )
    route.tracker.note_stop(None, str(error), lease)
    raise error


def _was_refused(route: Route, mismatch: str) -> bool:
    for row in route.tracker.tracked_exchanges():
        if row.exchange_name == route.exchange_name and row.stop is not None:
            return row.stop.reason.startswith(mismatch)
    return False
