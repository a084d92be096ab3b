"""Whether a long backlog costs more an event than a short one, in time or in memory."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

import click

from benchmarks import servers, stored
from benchmarks.measuring import Spread, in_rounds, ratios
from benchmarks.tables import show, spread
from benchmarks.wire import amqp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.measuring import Job, Sample

KEPT = 10_000
FEW = 10_000
"""The backlog whose memory the others' is compared with."""
PART = 200_000
"""Events that are timed at either end of a backlog: ten million would take too long."""


def run(
    kinds: tuple[str, ...], events: int, times: int, rounds: int, folder: Path, *, full: bool
) -> None:
    """Drain both ends of two backlogs to RabbitMQ, one ``times`` as long; print how they compare.

    With ``full``, drain them whole, too. The broker's queue keeps the newest few only, so that it
    costs the same however many pass.
    """
    if events <= stored.WARM_UP:
        raise click.UsageError(f"--events must be more than the {stored.WARM_UP} that warm up.")
    few, short, long = min(FEW, events), events, events * times
    limit = {"x-max-length": KEPT, "x-overflow": "drop-head"}
    rows = []
    with servers.started(servers.rabbitmq) as broker, servers.databases(kinds, folder) as new:
        settings = {"url": broker.url, "queue_arguments": limit}
        relay = partial(stored.relaying, producer="rabbitmq", settings=settings)
        parts = _parts(min(PART, events), full=full)
        for kind, new_database in new.items():
            urls = _filled(kind, new_database, sorted({few, short, long}))
            jobs: dict[str, Job] = {"few": partial(relay, database_url=urls[few])}
            for size in (short, long):
                for part, bounds in parts.items():
                    url = urls[size]
                    jobs[f"{part}, {size}"] = partial(relay, database_url=url, **bounds(url))
            samples = in_rounds(jobs, rounds, partial(amqp.delete, broker.url))
            for part in parts:
                figures = _figures(
                    samples[f"{part}, {short}"], samples[f"{part}, {long}"], samples["few"]
                )
                rows.append((f"{kind}, {long:,} / {short:,}: {part}", *figures))
    columns = (
        *("", "rate", "CPU an event", "peak memory", f"peak memory / at {few:,}", "peak MB"),
        "events/s",
    )
    show(f"Growth: events stored, RabbitMQ, {rounds} rounds", columns, rows)


def _filled(kind: str, new_database: Callable[[], str], sizes: Iterable[int]) -> Mapping[int, str]:
    """Return the URL of a database of each size."""
    urls = {}
    for size in sizes:
        url, began = new_database(), time.monotonic()
        stored.fill(url, size)
        took = time.monotonic() - began
        click.echo(f"{kind}: {size:,} events stored in {took:.1f} s", err=True)
        urls[size] = url
    os.sync()  # what was written shall not go to the disk while something is timed
    return urls


def _parts(timed: int, *, full: bool) -> Mapping[str, Callable[[str], dict[str, int]]]:
    """Return what is drained of a database: its name in the table, and how it is asked for."""
    parts: dict[str, Callable[[str], dict[str, int]]] = {
        f"first {timed:,}": lambda _url: {"count": timed - stored.WARM_UP},
        f"last {timed:,}": lambda url: {"after": stored.position_before_last(url, timed)},
    }
    if full:
        parts["all"] = lambda _url: {}
    return parts


def _figures(
    short: Sequence[Sample], long: Sequence[Sample], few: Sequence[Sample]
) -> tuple[str, ...]:
    pairs = list(zip(short, long, strict=True))
    return (
        spread(ratios(long, short)),
        spread(Spread.of(b.cpu_per_event / a.cpu_per_event for a, b in pairs)),
        spread(Spread.of(b.peak_bytes / a.peak_bytes for a, b in pairs)),
        spread(Spread.of(b.peak_bytes / a.peak_bytes for a, b in zip(few, long, strict=True))),
        f"{max(sample.peak_bytes for sample in long) / 2**20:.0f}",
        f"{Spread.of(sample.rate for sample in long).middle:,.0f}",
    )
