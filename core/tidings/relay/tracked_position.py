"""The exchange's position: the one place where it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tidings.interfaces import TrackedExchange, fingerprint
from tidings.relay.kept_lease import now
from tidings.relay.position_check import Anchor

if TYPE_CHECKING:
    from tidings.errors import UndeliverableEventError
    from tidings.event import StoredEvent
    from tidings.interfaces import Position
    from tidings.relay.kept_connection import KeptConnection
    from tidings.relay.kept_lease import KeptLease
    from tidings.relay.route import Route


class TrackedPosition:
    """How far the exchange has come, in the tracker, under a lease.

    It moves only under the lease, and only if the event at the position is still the one that was
    sent. Each move is also a renewal of the lease.

    A database that is restored under a relay takes the position back with the events. Then the two
    agree. Only the relay itself still knows how far it was: ``reached``, from one run to the next.
    What was sent, and could not be tracked, counts there, too: a database may lose in a crash what
    it had committed.

    Such a store may grow past the last event that was read before anybody looks. What is read
    behind it then does not follow it: what is new below would be passed. A broker that remembers
    its newest id would even vouch for that. So nothing is sent before :meth:`check_read`.

    **Threads.** Used by one thread.
    """

    def __init__(
        self,
        route: Route,
        lease: KeptLease,
        connection: KeptConnection,
        reached: dict[str, TrackedExchange],
    ) -> None:
        self.position: Position = lease.lease.position._replace(store=route.event_store.identity())
        """Where the exchange stands."""
        self._route = route
        self._lease = lease
        self._connection = connection
        self._anchor = Anchor(route.event_store, lease.lease)
        self._read = Anchor(route.event_store, lease.lease)
        self._reached = reached

    def check(self) -> None:
        """Raise :class:`~tidings.errors.PositionMismatchError` if the store is another one now.

        As the position shows, or how far this relay had got before the position went back. After a
        replay it may go back.
        """
        self._anchor.check()
        here, before = self.position, self._reached.get(self._route.exchange_name)
        if before is not None and _is_behind(here, before.position):
            Anchor(self._route.event_store, before).check()
        self._note_reached(here, self._lease.lease.fingerprint)

    def read_from(self, event_id: int) -> None:
        """Note that what is read next is to follow that event."""
        is_tracked = event_id == self.position.event_id
        self._read.stand_at(event_id, self._anchor.mark if is_tracked else None)

    def read_to(self, event: StoredEvent) -> None:
        """Note the same of an event that was read; its type may be mended while it is in flight."""
        self._read.move(event._replace(type_name=""))

    def check_read(self) -> None:
        """Raise :class:`~tidings.errors.PositionMismatchError` if that event is another one now."""
        self._read.check()

    def check_again(self) -> None:
        """Check if that is due again."""
        with self._connection.during_call():
            self._anchor.check_again()

    def move(self, event: StoredEvent) -> None:
        """Track that the exchange has had everything up to ``event``."""
        self._note_reached(self.position._replace(event_id=event.event_id), fingerprint(event))
        with self._connection.during_call():
            self._anchor.watch_again()
            self._anchor.check()
            asked = now()
            self._route.tracker.track_most_recent_published_message(
                self._route.exchange_name, event, self._lease.lease
            )
            self._moved(event, asked)

    def note_sent(self, event: StoredEvent) -> None:
        """Count ``event`` as reached: the broker may have it.

        Only its time is compared: if the broker refuses it, its type may be what is mended.
        """
        mark = fingerprint(event._replace(type_name=""))
        self._note_reached(self.position._replace(event_id=event.event_id), mark)

    def pass_by(self, event: StoredEvent, reason: str) -> None:
        """Put ``event`` into quarantine, and go on behind it, in one transaction."""
        with self._connection.during_call():
            self._anchor.check()
            asked = now()
            self._route.tracker.quarantine(
                self._route.exchange_name, event, reason, self._lease.lease
            )
            # Its type may be what is mended, so that it can be sent.
            passed = event._replace(type_name="")
            self._moved(passed, asked)
            self._note_reached(self.position, fingerprint(passed))

    def stop_for(self, error: UndeliverableEventError) -> NoReturn:
        """Note beside the position why the exchange stands still, and raise it."""
        with self._connection.during_call():
            self._route.note_stop(error.event_id, str(error), self._lease.lease)
        raise error

    def _moved(self, event: StoredEvent, asked: float) -> None:
        self._lease.renewed(asked)
        self.position = self.position._replace(event_id=event.event_id)
        self._anchor.move(event)

    def _note_reached(self, position: Position, mark: str | None) -> None:
        name = self._route.exchange_name
        before = self._reached.get(name)
        if before is not None and _is_behind(position, before.position):
            return
        if mark is not None:  # a replay's position tells of no event
            self._reached[name] = TrackedExchange(name, position, None, fingerprint=mark)


def _is_behind(position: Position, other: Position) -> bool:
    """Return whether a position went back; a replay's has a greater generation."""
    here, there = position.generation, other.generation
    return here < there or (here == there and position.event_id < other.event_id)
