"""Makes metrics of what is known, at each scrape."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from tidings_prometheus.exchange import STATES, ExchangeMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from tidings.plugins import Standing
    from tidings_prometheus.histogram import Histogram
    from tidings_prometheus.standings import Standings

Exchanges: TypeAlias = "Mapping[str, ExchangeMetrics]"


_OF_EXCHANGES: Sequence[tuple[str, str, Callable[[ExchangeMetrics], float]]] = (
    ("tidings_lease_held", "1 if this relay holds the exchange.", lambda each: each.lease_held),
    (
        "tidings_lease_epoch",
        "The number of the newest lease that this relay has had.",
        lambda each: each.lease_epoch,
    ),
    (
        "tidings_in_flight_events",
        "Events sent that the broker has not accepted yet.",
        lambda each: each.in_flight,
    ),
    (
        "tidings_broker_connected",
        "1 if this relay has the exchange open on its broker, as far as it has noticed.",
        lambda each: each.connected,
    ),
)

_OF_STANDINGS: Sequence[tuple[str, str, Callable[[Standing], float]]] = (
    (
        "tidings_position",
        "The newest event that the broker has accepted.",
        lambda each: each.position,
    ),
    ("tidings_newest_event_id", "The newest event stored.", lambda each: each.newest_event_id),
    (
        "tidings_events_behind",
        "Events stored behind the position.",
        lambda each: each.events_behind,
    ),
    (
        "tidings_seconds_behind",
        "Age of the oldest event behind the position; 0: there is none.",
        lambda each: each.seconds_behind,
    ),
    ("tidings_quarantined_events", "Events in quarantine now.", lambda each: each.quarantined),
)


class RelayCollector(Collector):
    """Gives every metric of the relay.

    **Threads.** Any may collect.
    """

    def __init__(self, exchanges: Exchanges) -> None:
        """Take the exchanges, to which others may be added."""
        self._exchanges = exchanges
        self.producers: Mapping[str, str] = {}
        """The backend of each exchange, if it is known."""
        self.windows: Mapping[str, int] = {}
        """How many events its producer lets be in flight, if it is known."""
        self.standings: Standings | None = None
        """How to look into the databases, if that is possible."""

    def describe(self) -> list[Metric]:
        """Name nothing: the library would collect everything, only to know the names."""
        return []

    @override
    def collect(self) -> Iterator[Metric]:
        """Give them all, as they are now."""
        yield InfoMetricFamily(
            "tidings_build",
            "The relay's version.",
            value={"version": version("tidings"), "python": platform.python_version()},
        )
        exchanges = dict(self._exchanges)
        running = {name: each for name, each in exchanges.items() if each.runs}
        yield from self._counters(exchanges)
        yield from _histograms(exchanges)
        yield from _gauges(running)
        yield _gauge(
            "tidings_window_size",
            "How many events may be in flight, by the producer's settings.",
            {name: self.windows[name] for name in running if name in self.windows},
        )
        yield _states(running)
        yield from _holds(running)
        if self.standings is not None:
            yield from _standings(running, self.standings.of(list(running)))

    def _counters(self, exchanges: Exchanges) -> Iterator[Metric]:
        published = CounterMetricFamily(
            "tidings_events_published",
            "Events that the broker has accepted and whose position is tracked.",
            labels=["exchange", "producer"],
        )
        failures = CounterMetricFamily(
            "tidings_publish_failures",
            "Times that the exchange stopped with an error, to be tried again.",
            labels=["exchange", "error_type"],
        )
        stages = CounterMetricFamily(
            "tidings_stage_seconds",
            "Seconds spent in each stage; their rate is the stage's share of the time.",
            labels=["exchange", "stage"],
        )
        for name, each in exchanges.items():
            published.add_metric([name, self.producers.get(name, "")], each.published)
            for error_type, count in each.failures.copy().items():
                failures.add_metric([name, error_type], count)
            for stage, seconds in each.stage_seconds.copy().items():
                stages.add_metric([name, stage], seconds)
        yield from (published, failures, stages)
        yield _counter(
            "tidings_events_quarantined",
            "Events put in quarantine.",
            exchanges,
            lambda each: each.quarantined,
        )
        yield _counter(
            "tidings_events_unroutable",
            "Events that reached no queue, which the producer's settings let pass.",
            exchanges,
            lambda each: each.unroutable,
        )
        yield _counter(
            "tidings_lease_losses",
            "Times that another relay, or a replay, took the exchange.",
            exchanges,
            lambda each: each.lease_losses,
        )


def _counter(
    name: str, help_text: str, exchanges: Exchanges, value: Callable[[ExchangeMetrics], float]
) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=["exchange"])
    for exchange_name, each in exchanges.items():
        family.add_metric([exchange_name], value(each))
    return family


def _histograms(exchanges: Exchanges) -> Iterator[Metric]:
    yield _histogram(
        "tidings_commit_to_accept_seconds",
        "From an event's occurred_on, shortly before its commit, to the broker's acceptance. "
        "Each event of a batch counts as its first one.",
        exchanges,
        lambda each: each.commit_to_accept,
    )
    yield _histogram(
        "tidings_send_to_accept_seconds",
        "From handing events to the producer to the broker's acceptance. Each event of a batch "
        "counts as its first one.",
        exchanges,
        lambda each: each.send_to_accept,
    )


def _histogram(
    name: str,
    help_text: str,
    exchanges: Exchanges,
    histogram: Callable[[ExchangeMetrics], Histogram],
) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=["exchange"])
    for exchange_name, each in exchanges.items():
        buckets, total = histogram(each).read()
        family.add_metric([exchange_name], buckets, total)
    return family


def _gauge(name: str, help_text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=["exchange"])
    for exchange_name, value in values.items():
        family.add_metric([exchange_name], value)
    return family


def _gauges(running: Exchanges) -> Iterator[Metric]:
    for metric, help_text, value in _OF_EXCHANGES:
        yield _gauge(metric, help_text, {name: value(each) for name, each in running.items()})


def _states(running: Exchanges) -> Metric:
    family = GaugeMetricFamily(
        "tidings_exchange_state",
        "What this relay does with the exchange: 1 for that state, 0 for the others.",
        labels=["exchange", "state"],
    )
    for name, each in running.items():
        now = each.state
        for state in STATES:
            family.add_metric([name, state], state == now)
    return family


def _holds(running: Exchanges) -> Iterator[Metric]:
    held = {name: each.held() for name, each in running.items()}
    yield _gauge(
        "tidings_hold_seconds",
        "How long the transaction has been open that keeps the exchange waiting; 0: none does.",
        {name: hold[1] if hold else 0.0 for name, hold in held.items()},
    )
    yield _gauge(
        "tidings_hold_missing_id",
        "The event that this transaction may still commit; 0: none.",
        {name: hold[0] if hold else 0 for name, hold in held.items()},
    )


def _standings(running: Exchanges, found: Mapping[str, Standing]) -> Iterator[Metric]:
    yield _gauge(
        "tidings_event_store_readable",
        "1 if the databases told in time how far the exchange has got; else the metrics of that "
        "are left out.",
        {name: name in found for name in running},
    )
    for metric, help_text, value in _OF_STANDINGS:
        yield _gauge(metric, help_text, {name: value(each) for name, each in found.items()})
