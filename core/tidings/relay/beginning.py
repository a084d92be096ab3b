"""How a relay begins: with the lease, and with what the broker already holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import (
    BrokerMismatchError,
    ExchangePausedError,
    LeaseHeldError,
    UnreadableEventError,
)
from tidings.interfaces import Capability, fingerprint
from tidings.relay.owner import Owner, is_gone, label
from tidings.relay.position_check import LET_IDS_BEGIN_ABOVE, readable
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from tidings.interfaces import Accepted, EventStore, Lease, OpenExchange, Position
    from tidings.relay.kept_connection import KeptConnection
    from tidings.relay.route import Route

log = escaping_logger(__name__)


def refuse_pause(route: Route) -> None:
    """Raise :class:`~tidings.errors.ExchangePausedError` if somebody has paused the exchange."""
    if Capability.PAUSE not in route.tracker.capabilities:
        return
    if (pause := route.tracker.paused(route.exchange_name)) is not None:
        raise ExchangePausedError(route.exchange_name, *pause)


def acquire_lease(route: Route, owner: Owner) -> Lease:
    """Take the exchange's lease; at once if its holder is known to be dead."""
    try:
        return route.tracker.acquire_lease(route.exchange_name, str(owner), route.lease_seconds)
    except LeaseHeldError as error:
        if not is_gone(error.owner):
            raise
        log.info("%s: taking over; its relay is gone: %s", route.exchange_name, label(error.owner))
        return route.tracker.acquire_lease(
            route.exchange_name, str(owner), route.lease_seconds, in_place_of=error.epoch
        )


def remembered_by_broker(
    route: Route,
    exchange: OpenExchange,
    connection: KeptConnection,
    lease: Lease,
    position: Position,
) -> int:
    """Return the newest id that the broker has of this store; 0 if it cannot say.

    ``connection`` is kept alive while the store is asked.

    What the broker remembers counts only if it is the event that the store has under that id.
    Raises :class:`~tidings.errors.BrokerMismatchError` if it is another one, and notes that: the
    store was restored or exchanged, and believing the id would pass new events. A replay is the way
    out. What the broker remembers of an earlier generation, or of another store once this one's
    exchange was replayed, is void.
    """
    if Capability.MOST_RECENT_ACCEPTED not in route.producer.capabilities:
        return 0
    accepted = exchange.most_recent_accepted()
    for each in (accepted, *exchange.accepted_ahead()):
        with connection.during_call():
            error = problem_of_broker(route.exchange_name, each, route.event_store, position)
            if error is not None:
                route.note_stop(None, str(error), lease)
                raise error
    return accepted.event_id if accepted is not None and _counts(accepted, position) else 0


def problem_of_broker(
    exchange_name: str, accepted: Accepted | None, store: EventStore, position: Position
) -> BrokerMismatchError | None:
    """Return what is wrong between the broker's memory and the store; ``None``: nothing."""
    if accepted is None or not _counts(accepted, position):
        return None
    foreign = _is_foreign(accepted, position)
    problem = _foreign(accepted) if foreign else _mismatch(store, accepted, position)
    if problem is None:
        return None
    ids = "" if foreign else LET_IDS_BEGIN_ABOVE
    return BrokerMismatchError(
        f"Exchange {exchange_name!r}: the broker already has event {accepted.event_id}, {problem}. "
        f"Going on behind that id would pass events that were never sent. {ids}Say from which "
        f"event on this exchange is to have them: `tidings replay {exchange_name} --all`, or "
        f"`tidings replay {exchange_name} --from ID` with the first that it lacks."
    )


def _counts(accepted: Accepted, position: Position) -> bool:
    """Return whether the broker is ahead, in a memory that no replay has made void."""
    if accepted.event_id <= position.event_id:
        return False
    if _is_foreign(accepted, position):
        return not position.generation
    return accepted.generation == position.generation


def _is_foreign(accepted: Accepted, position: Position) -> bool:
    return bool(accepted.store and position.store) and accepted.store != position.store


def _foreign(accepted: Accepted) -> str:
    what = f" ({readable(accepted.fingerprint)})" if accepted.fingerprint else ""
    return f"which is of another event store{what}: another database publishes, or published, there"


def _mismatch(store: EventStore, accepted: Accepted, position: Position) -> str | None:
    """Return how the broker's event differs from the store's; ``None`` if it doesn't."""
    newest = store.newest_event_id() or 0
    if accepted.event_id > newest:
        return (
            f"but the newest in the event store is {newest}: the store was restored, or is "
            "another one"
        )
    try:
        event = store.stored_event(accepted.event_id)
    except UnreadableEventError as error:
        return f"and cannot be compared with the event store's: {error}"
    if event is not None and accepted.fingerprint is not None:
        if accepted.fingerprint == fingerprint(event):
            return None
        return (
            f"which was {readable(accepted.fingerprint)!r}; the event store now has "
            f"{readable(fingerprint(event))!r} under that id: it was restored, or is another one"
        )
    is_of_this_store = accepted.store == position.store and accepted.store
    passed = position.event_id, accepted.event_id
    # Deleted meanwhile, as it seems, with all that believing would pass.
    if event is None and is_of_this_store and not store.count_stored_events_between(*passed, 1):
        return None
    return "and nothing shows that the event store's event of that id is, or was, the same one"
