"""Hears what the relay does, and shows it as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from typing_extensions import override

from tidings.plugins import Exposition, Observer, state_after
from tidings_prometheus.collector import RelayCollector
from tidings_prometheus.exchange import ExchangeMetrics
from tidings_prometheus.standings import Standings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings.plugins import AcceptedBatch, Hold, Lease, ObservedRelay, Pause, StoredEvent
    from tidings_prometheus.settings import PrometheusSettings


class PrometheusObserver(Observer):
    """Counts by exchange; ``registry`` holds the metrics, and those of the process."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self.registry = CollectorRegistry()
        self._settings = settings
        self._exchanges: dict[str, ExchangeMetrics] = {}
        self._collector = RelayCollector(self._exchanges)
        self.registry.register(self._collector)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    @override
    def exposition(self, accept: str) -> Exposition:
        encoder, content_type = choose_encoder(accept)
        return Exposition(content_type, encoder(self.registry))

    @override
    def attached(self, relay: ObservedRelay) -> None:
        self._collector.producers = relay.producers
        self._collector.windows = relay.windows
        self._collector.standings = Standings(relay.look, self._settings.look_timeout)

    @override
    def started(self, exchange_name: str) -> None:
        """Show the exchange's state from now on."""
        exchange = self._of(exchange_name)
        exchange.does("starting")
        exchange.runs = True

    @override
    def ended(self, exchange_name: str, error: Exception | None) -> None:
        """Show its state no longer."""
        self._of(exchange_name).runs = False

    @override
    def lease_taken(self, exchange_name: str, lease: Lease) -> None:
        exchange = self._of(exchange_name)
        exchange.lease_held, exchange.lease_epoch = True, lease.epoch
        exchange.goes_on()

    @override
    def lease_released(self, exchange_name: str) -> None:
        self._of(exchange_name).let_go()

    @override
    def lease_lost(self, exchange_name: str) -> None:
        exchange = self._of(exchange_name)
        exchange.let_go()
        exchange.lease_losses += 1

    @override
    def sent(self, exchange_name: str, events: Sequence[StoredEvent]) -> None:
        exchange = self._of(exchange_name)
        exchange.in_flight += len(events)
        exchange.connected = True
        exchange.goes_on()

    @override
    def accepted(self, exchange_name: str, batch: AcceptedBatch) -> None:
        """Count how long each event took: as long as the first of the batch."""
        exchange = self._of(exchange_name)
        exchange.in_flight = batch.in_flight
        exchange.commit_to_accept.add(batch.seconds_since_occurred, batch.count)
        exchange.send_to_accept.add(batch.seconds_since_sent, batch.count)

    @override
    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        self._of(exchange_name).published += count

    @override
    def unroutable(self, exchange_name: str, count: int) -> None:
        self._of(exchange_name).unroutable += count

    @override
    def spent(self, exchange_name: str, seconds: Mapping[str, float]) -> None:
        self._of(exchange_name).stage_seconds.update(seconds)

    @override
    def idle(self, exchange_name: str) -> None:
        exchange = self._of(exchange_name)
        exchange.connected = True
        exchange.in_flight = 0
        exchange.does("idle")

    @override
    def held(self, exchange_name: str, hold: Hold) -> None:
        self._of(exchange_name).hold(hold)

    @override
    def no_longer_held(self, exchange_name: str, missing_id: int, seconds: float) -> None:
        self._of(exchange_name).hold(None)

    @override
    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        self._of(exchange_name).quarantined += 1

    @override
    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        """Count by the kind of error."""
        exchange = self._of(exchange_name)
        exchange.failures[type(error).__name__] += 1
        exchange.does(state_after(error))

    @override
    def recovered(self, exchange_name: str, seconds: float) -> None:
        exchange = self._of(exchange_name)
        exchange.connected = True
        exchange.does("working")

    @override
    def paused(self, exchange_name: str, pause: Pause) -> None:
        """Note that it stands still as it should."""
        exchange = self._of(exchange_name)
        exchange.hold(None)
        exchange.does("paused")

    @override
    def standing_by(self, exchange_name: str, owner: str) -> None:
        exchange = self._of(exchange_name)
        exchange.hold(None)
        exchange.does("standing by")

    def _of(self, exchange_name: str) -> ExchangeMetrics:
        exchange = self._exchanges.get(exchange_name)
        if exchange is None:
            exchange = self._exchanges.setdefault(exchange_name, ExchangeMetrics())
        return exchange
