"""One run of one exchange: from taking its lease to giving it back."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidings.errors import (
    DeliveryError,
    EventStoreError,
    LeaseLostError,
    UndeliverableEventError,
    UnreadableEventError,
)
from tidings.event import MAX_EVENT_ID
from tidings.interfaces import Capability
from tidings.relay.batch import next_batch
from tidings.relay.checkpoints import Checkpoints
from tidings.relay.leased_exchange import leased_exchange
from tidings.relay.poison import Poison
from tidings.relay.route import notification, stand_in, unreadable, wanted
from tidings.relay.stages import Stages
from tidings.relay.tally import Tally
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from tidings.event import StoredEvent
    from tidings.interfaces import Lease
    from tidings.relay.batch import Batch
    from tidings.relay.leased_exchange import LeasedExchange
    from tidings.relay.owner import Owner
    from tidings.relay.route import Route

log = escaping_logger(__name__)

SHORTEST_SETTLE = 0.005
LONGEST_SETTLE = 0.1
SETTLE_PART = 0.05
"""How much of the time without a new event the broker gets before the next look for one.

The looks become rare, so that a broker which is silent for long does not cost the database many.
"""
ATTEND_EVERY = 0.05
"""Seconds after which the producer may do what it must, though there is always more to read."""
IN_PASSING = 0.001
"""Seconds that it gets for that if nothing is in flight."""


@contextmanager
def running(route: Route, owner: Owner) -> Iterator[Run]:
    """Run an exchange: hold its lease, and its open exchange, inside of ``with``.

    Raises a :class:`~tidings.errors.TidingsError` with everything given back. At the end, what the
    broker has accepted is tracked. What could not be is sent again by the next run, or found on the
    broker then.
    """
    with leased_exchange(route, owner) as begun:
        run = Run(begun)
        try:
            yield run
        except (EventStoreError, LeaseLostError):
            run.note_sent()
            raise
        finally:
            run.track_last()


class Run:
    """Carries one exchange's events.

    A position is tracked only as far as the broker has accepted everything before it, whatever
    fails later. An event that can never be sent stops the exchange, or goes into quarantine, once
    everything before it is tracked. When a call raises, the run is over.

    **Threads.** Used by one thread.
    """

    def __init__(self, leased: LeasedExchange) -> None:
        """Open the exchange, and find where to go on."""
        self.route: Route = leased.route
        self._leased = leased
        self._position = leased.position
        self._tally = Tally(self.route)
        self._poison = Poison()
        self._stages = Stages(self.route.exchange_name, self.route.observers)
        self._checkpoints = Checkpoints(leased, self._tally, self._stages)
        self._read_from(leased.open(self._checkpoints.make))
        self._attended_at = time.monotonic()
        self._batches = 0
        """How many were handed to the producer."""

    def step(self, limit: int | None = None) -> int:
        """Read one batch and send it; track what is accepted by now. Return how many were read.

        ``limit`` bounds how many are read. Returns before the broker has accepted them.
        """
        self._leased.lease.check()
        size = self.route.batch_size if limit is None else min(limit, self.route.batch_size)
        before = self._batches
        read = self._read_and_send(size)
        if read and time.monotonic() - self._attended_at >= ATTEND_EVERY:
            self._attend(self._batches - before)
        self._stages.tell_if_due()
        return read

    def settle(self) -> None:
        """Give the broker some time for what is in flight; track it if that is due.

        Called when there is nothing new to send. Returns soon, because something new may come
        before the broker's word does. If nothing comes, it is called again, and takes longer each
        time. It is the producer's ``wait`` that gives up a broker which accepts nothing.
        """
        if Capability.WAIT_SETTLES not in self.route.producer.capabilities:
            self.flush()
            return
        part = self._checkpoints.quiet * SETTLE_PART
        try:
            with self._stages.during("await"):
                self._wait(min(max(part, SHORTEST_SETTLE), LONGEST_SETTLE))
        except UndeliverableEventError as error:
            self._start_over(error)
        self._leased.lease.check()
        # A broker may accept nothing for long, and nothing moves. Before it moves: an outbox knows
        # our marks from somebody else's by what was read since.
        self._position.check_again()
        self._checkpoints.make_if_due()
        self._stages.tell_if_due()

    def idle(self, seconds: float) -> None:
        """Let the producer do what it must while there is nothing to send."""
        self._wait(seconds)
        self._leased.lease.check()
        self._position.check_again()
        self._stages.tell_if_due()

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has accepted everything sent, and track it."""
        sent_to = self._read_to
        self._flush_or_start_over(timeout)
        while self._read_to < sent_to and self._read_and_send(self.route.batch_size, sent_to):
            self._flush_or_start_over(timeout)
        self._stages.tell_if_due()

    def send_alone(self, event: StoredEvent) -> None:
        """Send one event out of its turn; return when it is accepted. The position stays.

        With nothing in flight, and only on an exchange that was opened anew for it.
        """
        self._leased.lease.check()
        route = self.route
        made = notification(route.exchange_name, route.serializer, event, route.addressing)
        self._leased.exchange.send([made])
        self._leased.exchange.flush()

    def reopen(self) -> None:
        """Open the producer anew, to go on after the tracked position."""
        self._read_from(self._checkpoints.begin_anew(self._open_again))

    def _open_again(self) -> int:
        self._tally.look_for_unroutable(self._leased.exchange)
        self._leased.close()
        return self._leased.open(self._checkpoints.make)

    def track_last(self) -> None:
        """Track what the broker has accepted, for the last time. Never raises."""
        try:
            self._checkpoints.make()
        except Exception as error:  # noqa: BLE001 - we are leaving already, perhaps for a reason
            log.debug("%s: no last checkpoint: %s", self.route.exchange_name, error)
            if isinstance(error, EventStoreError):
                self.note_sent()
        self._stages.tell()

    def note_sent(self) -> None:
        """Let the next run see that the database has not lost what this one has sent."""
        self._checkpoints.note_sent()

    def during_call(self) -> AbstractContextManager[None]:
        """Keep the producer's connection alive while a call to the database lasts."""
        return self._leased.connection.during_call()

    @property
    def accepted_count(self) -> int:
        """Events that the broker has accepted."""
        return self._tally.accepted

    @property
    def sent_count(self) -> int:
        """Events handed to the producer."""
        return self._tally.sent

    @property
    def next_id(self) -> int:
        """The lowest id that the next event may have."""
        return self._read_to + 1

    @property
    def generation(self) -> int:
        """The generation of the position from which it started."""
        return self._position.position.generation

    @property
    def longest_silence(self) -> float:
        """How many seconds the open exchange can do without :meth:`idle`."""
        return self._leased.exchange.longest_silence

    @property
    def in_flight(self) -> bool:
        """Whether something was sent, and is not tracked yet."""
        return self._checkpoints.in_flight > 0

    @property
    def broker_is_ahead(self) -> bool:
        """Whether the broker says that it holds more than is tracked, and nothing more is sent."""
        return self._read_to > self._position.position.event_id

    @property
    def lease(self) -> Lease:
        """The lease, while it is held for certain; ``LeaseLostError`` if it isn't."""
        self._leased.lease.check()
        return self._leased.lease.lease

    def _attend(self, batches: int) -> None:
        """Let the producer do what it must while one read follows the other.

        If most is passed over, little is sent for long. Nobody else would see to what the producer
        holds back, or to its connection. If much is sent, the producer does so itself: if several
        ``batches`` were handed over of one read, or so many events are in flight.
        """
        in_flight = self._checkpoints.in_flight
        if not in_flight:
            self._wait(IN_PASSING)
        elif not batches or (batches == 1 and in_flight < self.route.batch_size):
            self.settle()

    def _wait(self, seconds: float) -> None:
        self._leased.exchange.wait(seconds)
        self._attended_at = time.monotonic()

    def _read_from(self, event_id: int) -> None:
        self._read_to = event_id
        self._position.read_from(event_id)

    def _went_on_to(self, event: StoredEvent) -> None:
        self._read_to = event.event_id
        self._position.read_to(event)

    def _read_and_send(self, size: int, up_to: int = MAX_EVENT_ID) -> int:
        try:
            with self._stages.during("read"), self.during_call():
                events = self.route.event_store.all_stored_events_since(self._read_to, size)
                if events:
                    self._position.check_read()
        except UnreadableEventError as error:
            return self._unreadable(error) if error.event_id <= up_to else 0
        events = [event for event in events if event.event_id <= up_to]
        left: Sequence[StoredEvent] = events
        while left:
            left = self._send_some(left)
        self._checkpoints.make_if_due()
        return len(events)

    def _send_some(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Send the first of ``events``; return those that may follow now."""
        # Before each batch: a process that was frozen in the middle of many sends no more.
        self._leased.lease.check()
        with self._stages.during("serialize"):
            batch = next_batch(self.route, events, self._poison)
        done, error = len(batch.events), batch.error
        try:
            self._hand_over(batch)
        except UndeliverableEventError as refusal:
            place = batch.place_of(refusal.event_id)
            if place is None:
                self._start_over(refusal)
                return ()
            self._take_back(batch, place)
            done, error = place, refusal
        if done:
            self._went_on_to(events[done - 1])
        if error is None:
            return events[done:]
        return events[done + 1 :] if self._undeliverable(events[done], error) else ()

    def _hand_over(self, batch: Batch) -> None:
        # All of this before it is sent: of what is accepted while the call runs, we are told in it.
        self._checkpoints.add(batch.events)
        if not batch.notifications:
            return
        self._tally.hand_over(batch)
        self._batches += 1
        with self._stages.during("send"):
            self._leased.exchange.send(batch.notifications)

    def _take_back(self, batch: Batch, place: int) -> None:
        """Forget what was not taken of a batch, from the event at ``place`` on."""
        self._checkpoints.drop_from(batch.events[place][0].event_id)
        self._tally.take_back(sum(sent for _, sent in batch.events[place:]))

    def _unreadable(self, error: UnreadableEventError) -> int:
        """Deal with the next event, which cannot be read; return how many were read: it."""
        event, route = stand_in(error), self.route
        with self.during_call():
            self._position.check_read()
        if error.type_name is not None and not wanted(route.events, error.type_name):
            self._checkpoints.add([(event, False)])
            self._went_on_to(event)
            self._checkpoints.make()
        else:
            self._undeliverable(event, unreadable(route.exchange_name, error))
        return 1

    def _undeliverable(self, event: StoredEvent, error: UndeliverableEventError) -> bool:
        """Deal with the next event, which cannot be sent; return whether others may follow."""
        try:
            self._flush(None)  # what came before it shall not wait for it
            if self.route.passes_poison:
                self._leased.vouch()
                self._checkpoints.make()  # else what was passed over before it takes it back
        except UndeliverableEventError as earlier:
            self._start_over(earlier)
            return False
        except DeliveryError:
            if self._poison.error_of(event.event_id) is not None:
                raise
            # Perhaps because of this very event: when we meet it again, it is not sent.
            self._start_over(error)
            return False
        self._give_up(event, error)
        return True

    def _flush_or_start_over(self, timeout: float | None) -> None:
        self._leased.lease.check()
        try:
            self._flush(timeout)
        except UndeliverableEventError as error:
            self._start_over(error)

    def _flush(self, timeout: float | None) -> None:
        with self._stages.during("await"):
            self._leased.exchange.flush(timeout)
        self._attended_at = time.monotonic()
        self._checkpoints.make()

    def _start_over(self, error: UndeliverableEventError) -> None:
        """Go back to what is tracked: the broker has refused an event that was in flight.

        Those before it are sent again if they were not accepted; the event itself is not.
        """
        self._checkpoints.make()
        if not self._poison.is_new(error, self._position.position.event_id):
            self._position.stop_for(error)
        self.reopen()

    def _give_up(self, event: StoredEvent, error: UndeliverableEventError) -> None:
        """Pass an event that can never be sent, or stop for it. All before it is tracked."""
        route = self.route
        if not route.passes_poison:
            self._position.stop_for(error)
        self._position.pass_by(event, str(error))
        self._went_on_to(event)
        log.warning("%s: event %d is in quarantine: %s", route.exchange_name, event.event_id, error)
        route.observers.quarantined(route.exchange_name, event.event_id, str(error))
