"""What observers cost the relay: its CPU with each of ours, and without any."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import servers, stored
from benchmarks.measuring import Sample, Spread, in_rounds, peak_bytes
from benchmarks.stages import ToNobody
from benchmarks.tables import show, spread
from tidings import Observer, Observers
from tidings.plugins import Settings
from tidings.relay.owner import Owner
from tidings.relay.run import running
from tidings_opentelemetry.observer import OpenTelemetryObserver
from tidings_prometheus.observer import PrometheusObserver
from tidings_prometheus.settings import PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.measuring import Job

NOBODY = "no observer"


def run(kind: str, events: int, rounds: int, folder: Path) -> None:
    """Measure, and print a table. The producer accepts at once: any other makes shares smaller."""
    with servers.databases((kind,), folder) as new_database:
        url = new_database[kind]()
        stored.fill(url, events + stored.WARM_UP)
        jobs: dict[str, Job] = {NOBODY: partial(_observed, url=url, by="")}
        for name in OBSERVERS:
            jobs[name] = partial(_observed, url=url, by=name)
            jobs[_calls(name)] = partial(_timed, url=url, by=name)
        samples = in_rounds(jobs, rounds)
    title = f"CPU of the relay: {events:,} events, {rounds} rounds"
    columns = ("", "CPU µs/event", "with it / without", "in its calls alone")
    show(title, columns, list(_rows(samples)))


def _rows(samples: Mapping[str, Sequence[Sample]]) -> Iterator[tuple[str, ...]]:
    alone = samples[NOBODY]
    for name in (NOBODY, *OBSERVERS):
        least = min(each.cpu_per_event for each in samples[name]) * 1e6
        compared = calls = ""
        if name != NOBODY:
            compared = spread(_of_cpu(samples[name], alone))
            calls = f"{_of_cpu(samples[_calls(name)], alone).middle:.2%}"
        yield name, f"{least:.1f}", compared, calls


def _of_cpu(these: Sequence[Sample], others: Sequence[Sample]) -> Spread:
    return Spread.of(
        one.cpu_per_event / other.cpu_per_event for one, other in zip(these, others, strict=True)
    )


def _calls(name: str) -> str:
    return f"{name}, its calls"


OBSERVERS: dict[str, Callable[[], Observer]] = {
    "prometheus": partial(PrometheusObserver, PrometheusSettings()),
    "opentelemetry, no SDK": partial(OpenTelemetryObserver, Settings()),
}


@contextmanager
def _observed(exchange_name: str, *, url: str, by: str) -> Iterator[Callable[[], int]]:
    with _relaying(exchange_name, url, [OBSERVERS[by]()] if by else []) as relay:
        yield relay


@contextmanager
def _timed(exchange_name: str, *, url: str, by: str) -> Iterator[Callable[[], Sample]]:
    timed: Any = _Timed(OBSERVERS[by]())
    with _relaying(exchange_name, url, [timed]) as relay:

        def work() -> Sample:
            timed.cpu_seconds, began = 0.0, time.perf_counter()
            return Sample(relay(), time.perf_counter() - began, timed.cpu_seconds, peak_bytes())

        yield work


@contextmanager
def _relaying(
    exchange_name: str, url: str, observers: Sequence[Observer]
) -> Iterator[Callable[[], int]]:
    with stored.configured(url, [exchange_name]) as tidings:
        route = tidings.route(exchange_name)
        route = replace(route, producer=ToNobody(), observers=Observers(observers))
        with running(route, Owner()) as leased:
            stored.relay_on(leased, stored.WARM_UP)
            yield partial(stored.relay_on, leased, 10**12)


class _Timed:
    """Passes every call on, and adds up the CPU that it takes, and that of looking at the clock."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.cpu_seconds = 0.0

    def __getattr__(self, name: str) -> Callable[..., object]:
        call = getattr(self._observer, name)

        def timed(*arguments: object) -> object:
            began = time.thread_time()
            try:
                return call(*arguments)
            finally:
                self.cpu_seconds += time.thread_time() - began

        return timed
