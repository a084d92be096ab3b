"""One exchange on its way from the event store to the broker."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidings.errors import (
    LeaseHeldError,
    PositionMismatchError,
    TidingsError,
    UndeliverableEventError,
)
from tidings.plugins.specs import Capability
from tidings.relay.kept_lease import KeptLease, now
from tidings.relay.owner import Owner, is_gone
from tidings.relay.position_check import check_position
from tidings.relay.route import notification, wanted

if TYPE_CHECKING:
    from tidings.event import StoredEvent
    from tidings.interfaces import Lease
    from tidings.relay.route import Route

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExchangeRelay:
    """Carries one exchange's events, from :meth:`start` to :meth:`stop`.

    It may be started again after a stop. A position is tracked only as far as the broker has
    accepted everything before it, whatever fails later. Between a stop and the next start it holds
    no connection of the event store or of the producer.

    **Threads.** Used by one thread.
    """

    route: Route
    owner: Owner = field(default_factory=Owner)
    accepted_count: int = 0
    """Events that the broker has accepted since ``start``."""
    sent_count: int = 0
    """Events handed to the producer since ``start``."""

    _lease: KeptLease | None = None
    _read_to: int = 0
    _in_flight: deque[tuple[StoredEvent, bool]] = field(default_factory=deque)
    _while_open: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Take the lease, open the producer, and find where to go on.

        Raises a :class:`TidingsError` with everything given back.
        """
        if self._lease is not None:
            raise RuntimeError(f"The relay of {self.route.exchange_name!r} is started already.")
        self.accepted_count = self.sent_count = 0
        self._in_flight.clear()
        self._while_open = ExitStack()
        try:
            self._start()
        except BaseException:
            self._let_go()
            raise

    def step(self, limit: int | None = None) -> int:
        """Read one batch and send it; track what is accepted by now. Return how many were read.

        ``limit`` bounds how many are read. Returns before the broker has accepted them.
        """
        self._held_lease().check()
        size = self.route.batch_size if limit is None else min(limit, self.route.batch_size)
        events = self.route.event_store.all_stored_events_since(self._read_to, size)
        for event in events:
            self._send(event)
        self.checkpoint()
        return len(events)

    def idle(self, seconds: float) -> None:
        """Let the producer do what it must while there is nothing to send."""
        self.route.producer.wait(self.route.exchange_name, seconds)
        self._held_lease().check()

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has accepted everything sent, and track it."""
        self._held_lease().check()
        self.route.producer.flush(self.route.exchange_name, timeout)
        self.checkpoint()

    def checkpoint(self) -> None:
        """Track what the broker has accepted."""
        accepted = self.route.producer.accepted_id(self.route.exchange_name) or 0
        newest: StoredEvent | None = None
        count = 0
        while self._in_flight:
            event, sent = self._in_flight[0]
            if sent and event.event_id > accepted:
                break
            newest = event
            count += sent
            self._in_flight.popleft()
        if newest is None:
            return
        kept = self._held_lease()
        asked = now()
        self.route.tracker.track_most_recent_published_message(
            self.route.exchange_name, newest, kept.lease
        )
        kept.renewed(asked)
        self.accepted_count += count
        if count:
            self.route.observers.published(self.route.exchange_name, count, newest.event_id)

    @property
    def in_flight(self) -> bool:
        """Whether something was sent, or passed over, and is not tracked yet."""
        return bool(self._in_flight)

    def stop(self) -> None:
        """Track what the broker has accepted, let go of it, and give the lease back.

        Never raises: what could not be tracked is sent again at the next start, or found on the
        broker then.
        """
        if self._lease is not None:
            try:
                self.checkpoint()
            except Exception as error:  # noqa: BLE001 - we are leaving already, perhaps for a reason
                log.debug("%s: no last checkpoint: %s", self.route.exchange_name, error)
        self._let_go()

    def _start(self) -> None:
        route = self.route
        asked = now()
        lease = self._acquire()
        self._while_open.callback(self._release, lease)
        self._lease = self._while_open.enter_context(KeptLease(route.tracker, lease, asked))
        self._while_open.callback(route.event_store.close)
        route.event_store.check()
        check_position(route.event_store, lease)
        self._while_open.callback(route.producer.close, route.exchange_name)
        route.producer.open(route.exchange_name, lease.position)
        self._read_to = max(lease.position.event_id, self._held_by_broker(lease))

    def _acquire(self) -> Lease:
        route, owner = self.route, str(self.owner)
        try:
            return route.tracker.acquire_lease(route.exchange_name, owner, route.lease_seconds)
        except LeaseHeldError as held:
            if not is_gone(held.owner):
                raise
            log.info("%s: taking over; its relay is gone: %s", route.exchange_name, held.owner)
            return route.tracker.acquire_lease(
                route.exchange_name, owner, route.lease_seconds, in_place_of=held.epoch
            )

    def _held_by_broker(self, lease: Lease) -> int:
        """Return the newest id that the broker has; 0 where it cannot say.

        The tracker is moved there only where the broker keeps its word through a crash of its own:
        otherwise what it loses then would never be sent again.
        """
        route = self.route
        if Capability.MOST_RECENT_ACCEPTED_ID not in route.capabilities:
            return 0
        held = route.producer.most_recent_accepted_id(route.exchange_name) or 0
        if held <= lease.position.event_id:
            return held
        newest = route.event_store.newest_event_id() or 0
        if held > newest:
            raise PositionMismatchError(
                f"Exchange {route.exchange_name!r}: the broker already has event {held}, but the "
                f"newest in the event store is {newest}. The store was restored, or is another "
                f"one. Once that is settled, `tidings replay {route.exchange_name} --from ID` "
                "sets where to go on."
            )
        if Capability.REMEMBERS_DURABLY in route.capabilities:
            event = route.event_store.stored_event(held)
            if event is not None:
                route.tracker.track_most_recent_published_message(route.exchange_name, event, lease)
        return held

    def _send(self, event: StoredEvent) -> None:
        # Before each event: a process that was paused in the middle of a batch sends no more.
        self._held_lease().check()
        sent = wanted(self.route.events, event.type_name)
        if sent:
            try:
                self._send_wanted(event)
            except UndeliverableEventError:
                self.flush()  # what came before it shall not wait for it
                raise
        self._in_flight.append((event, sent))
        self._read_to = event.event_id

    def _send_wanted(self, event: StoredEvent) -> None:
        route = self.route
        message = notification(route.exchange_name, route.serializer, event)
        route.producer.send(route.exchange_name, *message)
        self.sent_count += 1

    def _held_lease(self) -> KeptLease:
        if self._lease is None:
            raise RuntimeError(f"The relay of {self.route.exchange_name!r} is not started.")
        return self._lease

    def _release(self, lease: Lease) -> None:
        with suppress(TidingsError):  # it runs out by itself
            self.route.tracker.release_lease(lease)

    def _let_go(self) -> None:
        self._lease = None
        self._in_flight.clear()
        try:
            self._while_open.close()
        except Exception:
            # Whatever is wrong with one part, all were told to let go; the relay may start again.
            log.exception("%s: could not let go of everything", self.route.exchange_name)
