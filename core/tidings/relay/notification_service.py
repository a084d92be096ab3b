"""The book's service: publish what an exchange has not had yet, then return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.builtin.json_serializer import JsonSerializer
from tidings.relay.exchange_relay import ExchangeRelay
from tidings.relay.observers import Observers
from tidings.relay.owner import Owner
from tidings.relay.route import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import (
        EventStore,
        MessageProducer,
        Observer,
        PublishedMessageTracker,
        Quarantine,
        Serializer,
    )
    from tidings.plugins.specs import Capability


class NotificationService:
    """Publishes an exchange's unpublished events, and remembers how far it got.

    Knows no backend: whatever keeps the promises of :mod:`tidings.interfaces` will do.
    ``capabilities`` are those of the producer; ``events`` are type names to send (wildcards
    allowed; all without it). An event that can never be sent stops the exchange, or is put in
    ``quarantine`` (the tracker, where it is one) and passed. Between two calls it holds no
    connection of the event store or of the producer; the tracker is its owner's to close.

    **Threads.** One object is used by one thread at a time. Several processes may publish to one
    exchange: the lease lets one of them work.
    """

    def __init__(
        self,
        event_store: EventStore,
        tracker: PublishedMessageTracker,
        producer: MessageProducer,
        serializer: Serializer | None = None,
        *,
        capabilities: frozenset[Capability] = frozenset(),
        events: Sequence[str] = (),
        batch_size: int = 1000,
        lease_seconds: float = 15.0,
        observers: Sequence[Observer] = (),
        quarantine: Quarantine | None = None,
    ) -> None:
        self._event_store = event_store
        self._tracker = tracker
        self._producer = producer
        self._serializer = serializer or JsonSerializer()
        self._capabilities = capabilities
        self._events = events
        self._batch_size = batch_size
        self._lease_seconds = lease_seconds
        self._observers = Observers(observers)
        self._quarantine = quarantine
        self._owner = Owner()

    def publish_notifications(self, exchange_name: str, limit: int | None = None) -> int:
        """Publish every event the exchange has not had, at most ``limit``; return how many.

        Returns when the broker has accepted them all and the position is tracked. Where something
        fails, what was accepted until then is tracked and the error is raised: calling again goes
        on from there. Raises :class:`~tidings.errors.LeaseHeldError` while another relay works on
        the exchange; any other :class:`~tidings.errors.TidingsError` says what failed.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        relay = ExchangeRelay(self._route(exchange_name), self._owner)
        relay.start()
        try:
            self._publish(relay, limit)
        finally:
            relay.stop()
        return relay.accepted_count

    def _publish(self, relay: ExchangeRelay, limit: int | None) -> None:
        more = True
        while more:
            remaining = None if limit is None else limit - relay.sent_count
            more = remaining != 0 and relay.step(remaining) > 0
            if not more:
                relay.flush()
                # Where the broker refused one of them just now, there is room for another.
                more = remaining == 0 and relay.sent_count < (limit or 0)

    def _route(self, exchange_name: str) -> Route:
        return Route(
            exchange_name=exchange_name,
            event_store=self._event_store,
            tracker=self._tracker,
            producer=self._producer,
            serializer=self._serializer,
            observers=self._observers,
            capabilities=self._capabilities,
            events=self._events,
            batch_size=self._batch_size,
            lease_seconds=self._lease_seconds,
            quarantine=self._quarantine,
            passes_poison=self._quarantine is not None,
        )
