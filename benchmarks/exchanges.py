"""What many exchanges in one relay take, busy and idle."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from benchmarks import servers, stored, together
from benchmarks.measuring import Spread, in_rounds, ratios
from benchmarks.tables import show, spread
from benchmarks.wire import amqp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.measuring import Job, Sample


def run(
    kind: str, counts: Sequence[int], messages: int, rounds: int, folder: Path, *, seconds: float
) -> None:
    """Send ``messages`` in all through each number of exchanges; then let those idle.

    Prints what they take, and the rate in proportion to that of the first number.
    """
    if messages < max(counts):
        raise click.UsageError("--messages must be at least as many as there are exchanges.")
    with (
        servers.started(servers.rabbitmq) as broker,
        servers.database(kind, folder) as new_database,
    ):
        url = new_database()
        stored.fill(url, together.WARM_UP + messages // min(counts))
        common: dict[str, Any] = {"database_url": url, "settings": {"url": broker.url}}
        busy: dict[str, Job] = {
            f"{count:,}": partial(together.carrying, **common, exchanges=count, messages=messages)
            for count in counts
        }
        idle: dict[str, Job] = {
            name: partial(
                together.idling, **common, exchanges=count, seconds=seconds, notes=folder / name
            )
            for name, count in zip(busy, counts, strict=True)
        }
        clean = partial(_clean, broker.url, max(counts))
        title = f"Exchanges: {messages:,} messages of {stored.BODY_BYTES} bytes in all, RabbitMQ, "
        _show_busy(f"{title}{kind}, {rounds} rounds", in_rounds(busy, rounds, clean))
        title = f"Idle exchanges: RabbitMQ, {kind}, {rounds} rounds"
        _show_idle(title, in_rounds(idle, rounds, clean), folder)


def _clean(url: str, exchanges: int, run: str) -> None:
    for name in together.names(run, exchanges):
        amqp.delete(url, name)


def _show_busy(title: str, samples: Mapping[str, Sequence[Sample]]) -> None:
    first = next(iter(samples))
    rows = [
        (
            name,
            f"{Spread.of(run.rate for run in runs).middle:,.0f}",
            "" if name == first else spread(ratios(runs, samples[first])),
            f"{Spread.of(run.cpu_per_event * 1e6 for run in runs).middle:.1f}",
            f"{max(run.peak_bytes for run in runs) / 2**20:.0f}",
        )
        for name, runs in samples.items()
    ]
    columns = ("exchanges", "messages/s", f"rate / {first}", "CPU µs/message", "peak MB")
    show(title, columns, rows)


def _show_idle(title: str, samples: Mapping[str, Sequence[Sample]], folder: Path) -> None:
    rows = []
    for name, runs in samples.items():
        notes = [
            together.Footprint(*json.loads(line))
            for line in (folder / name).read_text().splitlines()
        ]
        share = Spread.of(100 * run.cpu_seconds / run.seconds for run in runs)
        rows.append(
            (
                name,
                f"{Spread.of(each.start for each in notes).middle:.1f}",
                f"{share.middle:.1f}",
                f"{max(each.threads for each in notes)}",
                f"{max(each.files for each in notes)}",
                f"{max(each.database_connections for each in notes)}",
                f"{max(run.peak_bytes for run in runs) / 2**20:.0f}",
            )
        )
    columns = (
        "exchanges",
        "s to start",
        "% of a core",
        "threads",
        "open files",
        "database connections",
        "peak MB",
    )
    show(title, columns, rows)
