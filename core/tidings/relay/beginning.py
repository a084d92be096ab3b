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


def held_by_broker(route: Route, position: int) -> int:
    """Return the newest id that the broker has; 0 where it cannot say.

    Raises :class:`~tidings.errors.PositionMismatchError` where the event store has no such id.
    """
    if Capability.MOST_RECENT_ACCEPTED_ID not in route.capabilities:
        return 0
    held = route.producer.most_recent_accepted_id(route.exchange_name) or 0
    newest = route.event_store.newest_event_id() or 0 if held > position else held
    if held > newest:
        raise PositionMismatchError(
            f"Exchange {route.exchange_name!r}: the broker already has event {held}, but the "
            f"newest in the event store is {newest}. The store was restored, or is another "
            f"one. Once that is settled, `tidings replay {route.exchange_name} --from ID` "
            "sets where to go on."
        )
    return held
