"""The relay beside the bare client, from small bodies to large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import servers, stored
from benchmarks.measuring import Spread, in_rounds, ratios
from benchmarks.tables import show, spread
from benchmarks.wire.backends import BACKENDS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measuring import Sample
    from benchmarks.wire.backends import Backend

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
FEWEST, MOST = 20, 50_000
"""How many events a run has: as many bytes as the others if these limits let it."""

COLUMNS = (
    *("", "events", "events/s", "MB/s", "CPU µs/event", "peak MB"),
    *("bare peak MB", "relay / bare"),
)


def run(backends: tuple[str, ...], kind: str, run_bytes: int, rounds: int, folder: Path) -> None:
    """Measure, and print a table for each backend; a run moves about ``run_bytes`` of bodies."""
    with servers.database(kind, folder) as new_database:
        databases = {}
        for size in SIZES:
            count = event_count(size, run_bytes)
            databases[size] = new_database(), count
            stored.fill(databases[size][0], count + _warm_up(count), size)
        for name in backends:
            with BACKENDS[name]() as backend:
                rows = [
                    _row(backend, size, url, count, rounds)
                    for size, (url, count) in databases.items()
                ]
                show(f"{name}, {kind}: bodies of 100 B to 1 MB, {rounds} rounds", COLUMNS, rows)


def event_count(size: int, run_bytes: int) -> int:
    """Return how many events of that size a run has."""
    return min(max(run_bytes // size, FEWEST), MOST)


def _warm_up(count: int) -> int:
    return min(stored.WARM_UP, max(count // 10, 1))


def _row(backend: Backend, size: int, url: str, count: int, rounds: int) -> tuple[str, ...]:
    jobs = {
        "relay": backend.relaying(url, _warm_up(count)),
        "bare": backend.pushing(url, count),
    }
    if rounds > 1:
        in_rounds(jobs, 1, backend.clean)  # the broker's warm-up
    relay, bare = in_rounds(jobs, rounds, backend.clean).values()
    rate = Spread.of(run.rate for run in relay).middle
    return (
        f"{size:,} bytes",
        f"{count:,}",
        f"{rate:,.0f}",
        f"{rate * size / 1e6:,.1f}",
        f"{Spread.of(run.cpu_per_event * 1e6 for run in relay).middle:.1f}",
        _peak(relay),
        _peak(bare),
        spread(ratios(relay, bare)),
    )


def _peak(runs: list[Sample]) -> str:
    return f"{max(run.peak_bytes for run in runs) / 2**20:.0f}"
