"""What a run needs before it can begin: the lease, a store that was checked, an open exchange."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from tidings.errors import (
    LeaseLostError,
    TidingsError,
    UnreadableEventError,
    UnsafeStoreError,
)
from tidings.interfaces import Capability
from tidings.relay.beginning import acquire_lease, refuse_pause, remembered_by_broker
from tidings.relay.kept_connection import KeptConnection
from tidings.relay.kept_lease import KeptLease, now
from tidings.relay.log_error import tell
from tidings.relay.reports import describe_gone
from tidings.relay.route import notification, stand_in, unreadable
from tidings.relay.tracked_position import TrackedPosition
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.interfaces import EventStore, Lease, OpenExchange
    from tidings.relay.owner import Owner
    from tidings.relay.route import Route

log = escaping_logger(__name__)


class LeasedExchange:
    """One exchange under our lease: its position, and its open exchange.

    **Threads.** Used by one thread.
    """

    exchange: OpenExchange
    """From the first :meth:`open` on."""

    only_remembered = False
    """Whether the broker is ahead of the position, by a memory that it may lose in a crash."""

    _remembered = 0
    """The newest id that it remembered when the exchange was opened."""

    def __init__(
        self, route: Route, lease: KeptLease, connection: KeptConnection, owner: Owner
    ) -> None:
        self.lease = lease
        self.connection = connection
        self.position = TrackedPosition(route, lease, connection, owner.reached)
        self.route = route

    def open(self, on_accepted: Callable[[], None]) -> int:
        """Open the exchange at the position; return the id behind which to go on.

        If the broker remembers more than is tracked, that is behind what it remembers.
        """
        route, position = self.route, self.position
        parted = route.addressing.partitions, route.addressing.partition_field
        self.exchange = route.producer.open(
            route.exchange_name, position.position, on_accepted, *parted
        )
        remembered = remembered_by_broker(
            route, self.exchange, self.connection, self.lease.lease, position.position
        )
        tracked = position.position.event_id
        is_durable = Capability.REMEMBERS_DURABLY in route.producer.capabilities
        # Elsewhere only own acceptance moves the tracker: what a broker loses in a crash of its
        # own would never be sent again.
        self.only_remembered = remembered > tracked and not is_durable
        self._remembered = remembered
        if remembered > tracked and is_durable:
            self._move_to(remembered)
        return max(tracked, remembered)

    def vouch(self) -> None:
        """See that the position, if it moves now, does not rest on the broker's memory alone.

        The last event that it only remembers is sent once more: what is accepted from us lasts,
        with all before it.
        """
        if not self.only_remembered or self.exchange.accepted_id():
            return
        self.lease.check()
        route = self.route
        try:
            with self.connection.during_call():
                event = route.event_store.stored_event(self._remembered)
        except UnreadableEventError as error:
            raise unreadable(route.exchange_name, error) from error
        if event is None:  # somebody deleted it, with what it could have vouched for
            return
        made = notification(route.exchange_name, route.serializer, event, route.addressing)
        self.exchange.send([made])
        self.exchange.flush()
        self.position.move(event)

    def close(self) -> None:
        """Close the exchange, to open it anew."""
        self.route.producer.close(self.route.exchange_name)

    def _move_to(self, event_id: int) -> None:
        try:
            with self.connection.during_call():
                event = self.route.event_store.stored_event(event_id)
        except UnreadableEventError as error:
            event = stand_in(error)
        if event is not None:
            self.position.move(event)


@contextmanager
def leased_exchange(route: Route, owner: Owner) -> Iterator[LeasedExchange]:
    """Take the exchange's lease and check the event store; at the end, give everything back.

    Raises a :class:`TidingsError` with nothing held. What goes wrong at the end is logged.
    """
    asked = now()
    with _leased(route, owner) as lease:
        stack = ExitStack()
        try:
            yield _begin(route, owner, lease, asked, stack)
        finally:
            _let_go(route, stack.close)


@contextmanager
def _leased(route: Route, owner: Owner) -> Iterator[Lease]:
    """Hold the lease, and tell of its beginning and of its end."""
    name, observers = route.exchange_name, route.observers
    refuse_pause(route)
    lease = acquire_lease(route, owner)
    observers.lease_taken(name, lease)
    ended = observers.lease_released
    try:
        yield lease
    except LeaseLostError:
        ended = observers.lease_lost
        raise
    finally:
        _let_go(route, partial(_release, route, lease))
        ended(name)


def _begin(
    route: Route, owner: Owner, lease: Lease, asked: float, stack: ExitStack
) -> LeasedExchange:
    name, tracker, store = route.exchange_name, route.tracker, route.event_store
    kept = stack.enter_context(KeptLease(tracker, lease, asked))
    stack.callback(store.close)
    _check(store, lease)
    connection = KeptConnection(partial(route.producer.wait, name), name)
    begun = LeasedExchange(route, kept, connection, owner)
    if not lease.position.event_id and (gone := describe_gone(store, 0)):
        log.warning("%s has had nothing yet. %s", name, gone)
    begun.position.check()
    stack.callback(begun.close)
    stack.enter_context(connection)
    return begun


def _check(store: EventStore, lease: Lease) -> None:
    """Let the store check itself for a reader that goes on behind the lease's position.

    What it held against its last reader may be void. Meanwhile another relay has carried the
    exchange, perhaps, and had marked in an outbox what this one had not read.
    """
    try:
        store.check()
    except UnsafeStoreError:
        with suppress(UnreadableEventError):  # the run begins with what meets it
            store.all_stored_events_since(lease.position.event_id, 1)
        store.check()


def _let_go(route: Route, let_go: Callable[[], None]) -> None:
    try:
        let_go()
    except Exception as error:  # noqa: BLE001 - all were told to let go; the next run may begin
        tell(log, f"{route.exchange_name}: could not let go of everything.", error)


def _release(route: Route, lease: Lease) -> None:
    with suppress(TidingsError):  # it runs out by itself
        route.tracker.release_lease(lease)
