"""What is in flight, and when its acceptance is tracked."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from tidings.relay.in_flight import InFlight
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.event import StoredEvent
    from tidings.relay.leased_exchange import LeasedExchange
    from tidings.relay.stages import Stages
    from tidings.relay.tally import Tally

log = escaping_logger(__name__)

TRACK_EVERY = 0.05
"""Seconds within which batches that follow each other closely are tracked by one transaction."""
NO_NEWS = 0.02
"""Seconds without a new event after which what is accepted is tracked at once."""


class Checkpoints:
    """Moves an exchange's position behind what the broker has accepted, and no further.

    A transaction for each of many small batches would hold up the events that follow, and the
    applications that write to the same database. So one is not always due.

    **Threads.** Used by one thread.
    """

    def __init__(self, leased: LeasedExchange, tally: Tally, stages: Stages) -> None:
        self._leased = leased
        self._tally = tally
        self._stages = stages
        self._in_flight = InFlight()
        self._added_at = self._made_at = -math.inf

    @property
    def in_flight(self) -> int:
        """How many events were sent that are not tracked."""
        return len(self._in_flight)

    @property
    def quiet(self) -> float:
        """Seconds since the last event was added."""
        return time.monotonic() - self._added_at

    def add(self, events: Sequence[tuple[StoredEvent, bool]]) -> None:
        """Note the next events, each with whether it is sent now, or passed over."""
        self._added_at = time.monotonic()
        self._in_flight.add(events, self._added_at)

    def drop_from(self, event_id: int) -> None:
        """Forget that event and those behind it: they were not sent after all."""
        self._in_flight.drop_from(event_id)

    def make(self) -> None:
        """Track what the broker has accepted."""
        leased = self._leased
        self._tally.look_for_unroutable(leased.exchange)
        accepted_id = leased.exchange.accepted_id() or 0
        if not accepted_id and leased.only_remembered:
            return  # a position there would rest on nothing but the broker's memory
        settled = self._in_flight.settle(accepted_id)
        if settled is None:
            return
        self._tally.accept(settled, len(self._in_flight))
        with self._stages.during("track"):
            leased.position.move(settled.newest)
        self._made_at = time.monotonic()
        self._tally.track(settled.count, settled.newest.event_id)
        log.debug(
            "%s: %d event(s) accepted, tracked up to %d",
            leased.route.exchange_name,
            settled.count,
            settled.newest.event_id,
        )

    def make_if_due(self) -> None:
        """Do so if it is due.

        That is so some time after the last one, or when no event has come for a moment. It is so,
        too, when a batch of events is in flight, or none.
        """
        if (
            not 0 < len(self._in_flight) < self._leased.route.batch_size
            or self.quiet >= NO_NEWS
            or time.monotonic() - self._made_at >= TRACK_EVERY
        ):
            self.make()

    def note_sent(self) -> None:
        """Keep in mind up to where events were sent, whatever becomes of them."""
        if (newest := self._in_flight.newest_sent()) is not None:
            self._leased.position.note_sent(newest)

    def begin_anew(self, reopen: Callable[[], int]) -> int:
        """Forget what is in flight, and open the exchange anew; return where to go on.

        What the broker had accepted without our hearing of it is not sent again.
        """
        start_id = reopen()  # if that fails, what is in flight may be there all the same
        before, self._in_flight = self._in_flight, InFlight()
        arrived = before.settle(start_id)
        self._tally.take_back(len(before))
        if arrived is not None:
            self._tally.accept(arrived, 0)
            self._tally.track(arrived.count, start_id)
        return start_id
