"""One exchange on its way from the event store to the broker."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from tidings.errors import DeliveryError, TidingsError, UndeliverableEventError
from tidings.event import MAX_EVENT_ID
from tidings.interfaces import Position
from tidings.plugins.specs import Capability
from tidings.relay.beginning import acquire_lease, held_by_broker
from tidings.relay.kept_lease import KeptLease, now
from tidings.relay.owner import Owner
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
    accepted everything before it, whatever fails later. An event that can never be sent stops the
    exchange, or goes into quarantine, once everything before it is tracked. Between a stop and the
    next start it holds no connection of the event store or of the producer.

    **Threads.** Used by one thread.
    """

    route: Route
    owner: Owner = field(default_factory=Owner)
    accepted_count: int = 0
    """Events that the broker has accepted since ``start``."""
    sent_count: int = 0
    """Events handed to the producer since ``start``."""

    _lease: KeptLease | None = None
    _position: Position = field(default_factory=Position)
    _read_to: int = 0
    _refused: dict[int, UndeliverableEventError] = field(default_factory=dict)
    _unnamed_at: int | None = None
    _only_remembered: bool = False
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
        self._refused.clear()
        self._unnamed_at = None
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
        return self._read_and_send(size)

    def idle(self, seconds: float) -> None:
        """Let the producer do what it must while there is nothing to send."""
        self.route.producer.wait(self.route.exchange_name, seconds)
        self._held_lease().check()

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has accepted everything sent, and track it."""
        sent_to = self._read_to
        self._flush_or_start_over(timeout)
        while self._read_to < sent_to and self._read_and_send(self.route.batch_size, sent_to):
            self._flush_or_start_over(timeout)

    def send_again(self, event: StoredEvent) -> None:
        """Send one event out of its turn; return when it is accepted. The position stays."""
        self._held_lease().check()
        self._send_wanted(event)
        self.route.producer.flush(self.route.exchange_name)

    def reopen(self) -> None:
        """Open the producer anew, to go on after the tracked position."""
        self.sent_count -= sum(sent for _, sent in self._in_flight)
        self._in_flight.clear()
        self.route.producer.close(self.route.exchange_name)
        self._open()

    def checkpoint(self) -> None:
        """Track what the broker has accepted."""
        accepted = self.route.producer.accepted_id(self.route.exchange_name) or 0
        if not accepted and self._only_remembered:
            return  # a position there would rest on nothing but the broker's memory
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
        self._track(newest)
        self.accepted_count += count
        if count:
            self.route.observers.published(self.route.exchange_name, count, newest.event_id)

    @property
    def in_flight(self) -> bool:
        """Whether something was sent, and is not tracked yet."""
        return any(sent for _, sent in self._in_flight)

    @property
    def broker_is_ahead(self) -> bool:
        """Whether the broker says that it holds more than is tracked, and nothing more is sent."""
        return self._read_to > self._position.event_id

    @property
    def lease(self) -> Lease:
        """The lease, while it is held for certain; ``LeaseLostError`` where it isn't."""
        kept = self._held_lease()
        kept.check()
        return kept.lease

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
        lease = acquire_lease(route, self.owner)
        self._while_open.callback(self._release, lease)
        self._lease = self._while_open.enter_context(KeptLease(route.tracker, lease, asked))
        self._while_open.callback(route.event_store.close)
        route.event_store.check()
        check_position(route.event_store, lease)
        self._while_open.callback(setattr, route.producer, "on_accepted", None)
        self._while_open.callback(route.producer.close, route.exchange_name)
        self._position = lease.position
        self._open()

    def _open(self) -> None:
        self.route.producer.on_accepted = self._accepted
        self.route.producer.open(self.route.exchange_name, self._position)
        held = held_by_broker(self.route, self._held_lease().lease, self._position.event_id)
        self._read_to = max(self._position.event_id, held)
        # Elsewhere only own acceptance moves the tracker: what a broker loses in a crash of its
        # own would never be sent again.
        durably = Capability.REMEMBERS_DURABLY in self.route.capabilities
        self._only_remembered = self.broker_is_ahead and not durably
        if self.broker_is_ahead and durably:
            event = self.route.event_store.stored_event(held)
            if event is not None:
                self._track(event)

    def _accepted(self, exchange_name: str) -> None:
        if exchange_name == self.route.exchange_name:
            self.checkpoint()

    def _track(self, event: StoredEvent) -> None:
        kept = self._held_lease()
        asked = now()
        self.route.tracker.track_most_recent_published_message(
            self.route.exchange_name, event, kept.lease
        )
        kept.renewed(asked)
        self._position = self._position._replace(event_id=event.event_id)

    def _read_and_send(self, size: int, up_to: int = MAX_EVENT_ID) -> int:
        events = self.route.event_store.all_stored_events_since(self._read_to, size)
        events = [event for event in events if event.event_id <= up_to]
        for event in events:
            if not self._send(event):
                break
        self.checkpoint()
        return len(events)

    def _send(self, event: StoredEvent) -> bool:
        """Send an event where it is wanted; return whether the next one may follow."""
        # Before each event: a process that was paused in the middle of a batch sends no more.
        self._held_lease().check()
        sent = wanted(self.route.events, event.type_name)
        if sent:
            try:
                self._send_wanted(event)
            except UndeliverableEventError as error:
                return self._undeliverable(event, error)
        if not sent and self._in_flight and not self._in_flight[-1][1]:
            self._in_flight.pop()  # of several that are passed over the last one says it all
        self._in_flight.append((event, sent))
        self._read_to = event.event_id
        return True

    def _send_wanted(self, event: StoredEvent) -> None:
        route = self.route
        if event.event_id in self._refused:
            raise self._refused[event.event_id]
        message = notification(route.exchange_name, route.serializer, event)
        route.producer.send(route.exchange_name, *message)
        self.sent_count += 1

    def _undeliverable(self, event: StoredEvent, error: UndeliverableEventError) -> bool:
        """Deal with an error that came while ``event`` was sent; return whether to go on."""
        if error.event_id != event.event_id:
            self._start_over(error)
            return False
        try:
            self._flush(None)  # what came before it shall not wait for it
        except UndeliverableEventError as earlier:
            self._start_over(earlier)
            return False
        except DeliveryError:
            if event.event_id in self._refused:
                raise
            # Perhaps because of this very event: when we meet it again, it is not sent.
            self._start_over(error)
            return False
        self._give_up(event, error)
        return True

    def _flush_or_start_over(self, timeout: float | None) -> None:
        self._held_lease().check()
        try:
            self._flush(timeout)
        except UndeliverableEventError as error:
            self._start_over(error)

    def _flush(self, timeout: float | None) -> None:
        self.route.producer.flush(self.route.exchange_name, timeout)
        self.checkpoint()

    def _start_over(self, error: UndeliverableEventError) -> None:
        """Go back to what is tracked: the broker has refused an event that was under way.

        Those before it are sent again where they were not accepted; the event itself is not. Where
        the broker doesn't say which it was, producers find out when all are sent again.
        """
        self.checkpoint()
        if error.event_id is not None and error.event_id not in self._refused:
            self._refused[error.event_id] = error
        elif error.event_id is None and self._unnamed_at != self._position.event_id:
            self._unnamed_at = self._position.event_id
        else:
            self._stop_for(error)
        self.reopen()

    def _give_up(self, event: StoredEvent, error: UndeliverableEventError) -> None:
        """Pass an event that can never be sent, or stop for it. All before it is tracked."""
        route, kept, asked = self.route, self._held_lease(), now()
        if route.quarantine is None or not route.passes_poison:
            self._stop_for(error)
        route.quarantine.quarantine(route.exchange_name, event, str(error), kept.lease)
        kept.renewed(asked)
        self._position = self._position._replace(event_id=event.event_id)
        self._read_to = event.event_id
        log.warning("%s: event %d is in quarantine: %s", route.exchange_name, event.event_id, error)
        route.observers.quarantined(route.exchange_name, event.event_id, str(error))

    def _stop_for(self, error: UndeliverableEventError) -> NoReturn:
        self.route.tracker.note_stop(error.event_id, str(error), self._held_lease().lease)
        raise error

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
