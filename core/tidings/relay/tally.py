"""How many events a run has handed over, and how many of them were accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings.interfaces import OpenExchange
    from tidings.relay.batch import Batch
    from tidings.relay.in_flight import Settled
    from tidings.relay.route import Route


class Tally:
    """Counts, and tells the observers of it."""

    def __init__(self, route: Route) -> None:
        self.accepted = 0
        """Events that the broker has accepted, and whose position is tracked."""
        self.sent = 0
        """Events handed to the producer, and not taken back."""
        self._exchange: OpenExchange | None = None
        self._unroutable = 0
        """What was told of that one."""
        self._exchange_name = route.exchange_name
        self._observers = route.observers

    def hand_over(self, batch: Batch) -> None:
        """Count those that are sent now, in one call; the others are passed over."""
        self.sent += len(batch.notifications)
        if self._observers:
            sent = [event for event, is_sent in batch.events if is_sent]
            self._observers.sent(self._exchange_name, sent)

    def take_back(self, count: int) -> None:
        """Count so many no longer as handed over: they are sent again, or never."""
        self.sent -= count

    def accept(self, settled: Settled, in_flight: int) -> None:
        """Tell of what the broker has accepted; its position is yet to be tracked."""
        if self._observers and (batch := settled.batch(in_flight)) is not None:
            self._observers.accepted(self._exchange_name, batch)

    def track(self, count: int, last_event_id: int) -> None:
        """Count what is accepted and tracked."""
        self.accepted += count
        if count:
            self._observers.published(self._exchange_name, count, last_event_id)

    def look_for_unroutable(self, exchange: OpenExchange) -> None:
        """Tell of what has reached nobody since the last look at that exchange."""
        if exchange is not self._exchange:
            self._exchange, self._unroutable = exchange, 0
        count = exchange.unroutable_count()
        if count > self._unroutable:
            self._observers.unroutable(self._exchange_name, count - self._unroutable)
            self._unroutable = count
